// Heads: lines up to a blank one, at every split.

import AIOBytes
import AIOFraming
import Testing

@Suite struct HeadFramerTests {
    @Test func `A head is its lines with their endings, without the blank line`() {
        FramingCase.heads(max: 50)
            .expect(
                ["GET / HTTP/1.1\r\nHost: a\r\n", "b\n"], held: 1,
                of: "GET / HTTP/1.1\r\nHost: a\r\n\r\nb\n\nc")
    }

    @Test func `Endings may be mixed, and a head may have no lines`() {
        FramingCase.heads(max: 50).expect(
            ["a\r\nb\n", "a\n", "", "", "x\n"], of: "a\r\nb\n\r\na\n\n\r\n\nx\n\n")
    }

    @Test func `A line with a CR in it, or two before its ending, is not blank`() {
        FramingCase.heads(max: 50).expect(["\r\r\n\ra\n"], of: "\r\r\n\ra\n\r\n")
        FramingCase.heads(max: 50).expect(["a\r", "x"].map { "\($0)\n" }, held: 1, of: "a\r\n\nx\n\n\r")
    }

    @Test(arguments: OverlongFrame.each) func `A head may be as long as the maximum, and no longer`(
        overlong: OverlongFrame
    ) {
        for max in [0, 1, 2, 5, 9] {
            for excess in -1...3 where max + excess >= 0 {
                for blank in ["\n", "\r\n"] as [Bytes] {
                    let heads = FramingCase.heads(max: max, overlong)
                    let filler = Bytes(repeatElement(UInt8(ascii: "x"), count: max + excess))
                    heads.expectAsReference("\(filler.dropLast())\n\(blank)y\n\n")
                    heads.expectAsReference("\(filler)\r\n\(blank)y\n\n")
                    heads.expectAsReference("\(filler)\n\r\r\n\(blank)y\n\n")
                }
            }
        }
    }

    @Test func `A head that is cut short is followed by the next`() {
        let heads = FramingCase.heads(max: 3, .truncate)
        heads.expect(["a\nb", "y\n"], of: "a\nbcdef\ng\n\ny\n\n")
        // The blank line begins within the bytes that are looked at before the head is too long.
        heads.expect(["a\nb", "y\n"], of: "a\nbc\n\ny\n\n")
        heads.expect(["ab\n", "y\n"], of: "ab\n\rx\n\r\ny\n\n")
    }

    @Test func `A head that is too long ends the stream behind the heads before it`() {
        FramingCase.heads(max: 3).expect(["ab\n"], failure: .tooLong, held: 9, of: "ab\n\nabcdefgh\n")
    }

    @Test func `The end of the stream inside of a head is an error`() {
        FramingCase.heads(max: 9).expect(
            ["a\n"], failure: .unfinished, held: 2, of: "a\n\nb\n", hasEnded: true)
        FramingCase.heads(max: 9).expect(["a\n"], of: "a\n\n", hasEnded: true)
    }

    @Test(arguments: OverlongFrame.each)
    func `Random heads in random pieces are as the reference has them`(overlong: OverlongFrame) {
        for max in [0, 1, 3, 9, 40] {
            FramingCase.heads(max: max, overlong)
                .expectAsReference(randomOf: ["a", "bcd", "\r", "\n", "\r\n", "\n\n"], seeds: 1...300)
        }
    }

    @Test func `The window lets in the longest head and the blank line`() {
        #expect(Framing.heads(byteCountMax: 10).frameByteCountMax == 12)
        #expect(Framing.heads(byteCountMax: .max).frameByteCountMax == .max)
    }
}
