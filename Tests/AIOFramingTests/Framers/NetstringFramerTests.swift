// Netstrings: lengths, commas, and what is not allowed, at every split.

import AIOBytes
import AIOFraming
import Testing

@Suite struct NetstringFramerTests {
    @Test func `A length, a colon, as many bytes, a comma`() {
        FramingCase.netstrings(max: 20)
            .expect(["hello", "", "a,b:c", "0123456789"], held: 2, of: "5:hello,0:,5:a,b:c,10:0123456789,1:")
    }

    @Test(
        arguments: ["x:a,", ":a,", "1a:b,", "-1:,", "+1:a,", " 1:a,", "01:a,", "00:,", "1 :a,", ","]
            as [Bytes])
    func `A length that is not digits and a colon is malformed`(netstring: Bytes) {
        FramingCase.netstrings(max: 5).expect(
            [], failure: .malformedLength, held: netstring.count, of: netstring)
        FramingCase.netstrings(max: 5, .truncate)
            .expect(["a"], failure: .malformedLength, held: netstring.count, of: "1:a,\(netstring)")
    }

    @Test func `Something else where the comma has to be is malformed`() {
        FramingCase.netstrings(max: 5).expect(["a"], failure: .malformedTrailer, held: 5, of: "1:a,1:bc,")
        FramingCase.netstrings(max: 5).expect([], failure: .malformedTrailer, held: 3, of: "0:a")
        FramingCase.netstrings(max: 1, .truncate).expect(
            ["a"], failure: .malformedTrailer, held: 2, of: "2:abcd")
    }

    @Test(arguments: OverlongFrame.each) func `A frame may be as long as the maximum, and no longer`(
        overlong: OverlongFrame
    ) {
        for max in [0, 1, 9, 10] {
            for excess in -1...2 where max + excess >= 0 {
                let payload = Bytes(repeatElement(UInt8(ascii: "x"), count: max + excess))
                FramingCase.netstrings(max: max, overlong)
                    .expectAsReference("\(max + excess):\(payload),1:y,")
            }
        }
    }

    @Test func `A length that exceeds the maximum is refused at the digit that makes it so`() {
        FramingCase.netstrings(max: 99).expect([], held: 2, of: "99")
        FramingCase.netstrings(max: 99).expect([], failure: .tooLong, held: 3, of: "100")
        FramingCase.netstrings(max: .max).expect([], failure: .tooLong, held: 19, of: "9223372036854775808")
        FramingCase.netstrings(max: .max).expect([], held: 19, of: "9223372036854775807")
    }

    @Test func `A length of more than 64 bits is too long, whatever the maximum`() {
        FramingCase.netstrings(max: .max).expect(
            [], failure: .tooLong, held: 22, of: "40075284100000400752:x")
    }

    @Test func `Cut short, a length may have 64 bits, and no more`() {
        let frames = FramingCase.netstrings(max: 1, .truncate)
        frames.expect(["a"], of: "18446744073709551615:abc")
        frames.expect([], failure: .malformedLength, held: 21, of: "18446744073709551616:")
        frames.expect([], failure: .malformedLength, held: 21, of: "999999999999999999999")
        frames.expect(["a", "b", ""], of: "5:a1234,1:b,0:,")
    }

    @Test func `The end of the stream inside of a frame is an error`() {
        for unfinished in ["1", "1:", "1:a", "0:"] as [Bytes] {
            FramingCase.netstrings(max: 5)
                .expect([], failure: .unfinished, held: unfinished.count, of: unfinished, hasEnded: true)
        }
        FramingCase.netstrings(max: 5).expect(["a"], of: "1:a,", hasEnded: true)
    }

    @Test(arguments: OverlongFrame.each)
    func `Random frames in random pieces are as the reference has them`(overlong: OverlongFrame) {
        for max in [0, 1, 3, 12] {
            FramingCase.netstrings(max: max, overlong)
                .expectAsReference(
                    randomOf: ["0:,", "1:a,", "3:abc,", "12:0123456789ab,", "2:", ",", "1", "0"],
                    seeds: 1...500)
        }
    }

    @Test func `The window lets in the longest frame, its length and its comma`() {
        #expect(Framing.netstrings(byteCountMax: 100).frameByteCountMax == 105)
        #expect(Framing.netstrings(byteCountMax: 100, overlong: .truncate).frameByteCountMax == 122)
        #expect(Framing.netstrings(byteCountMax: .max).frameByteCountMax == .max)
    }
}
