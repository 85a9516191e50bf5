// Delimiters of one byte and more, such that overlap themselves, at every split.

import AIOBytes
import AIOFraming
import Testing

@Suite struct DelimiterFramerTests {
    @Test func `A delimiter of one byte`() {
        FramingCase.delimited([0], max: 10).expect(["ab", "", "c"], held: 1, of: "ab\0\0c\0d")
        FramingCase.delimited([0xff], max: 10).expect([[1, 2]], held: 1, of: [1, 2, 0xff, 3])
    }

    @Test func `A delimiter is found where its beginning overlaps itself`() {
        FramingCase.delimited("aab", max: 10).expect(["a", "", "c"], of: "aaabaabcaab")
        FramingCase.delimited("abab", max: 10).expect(["", "a", "b"], held: 2, of: "ababaababbababab")
        FramingCase.delimited("abcabd", max: 10).expect(["abc", "ab"], of: "abcabcabdababcabd")
        FramingCase.delimited("aaaa", max: 10).expect(["", ""], held: 3, of: "aaaaaaaaaaa")
    }

    @Test func `Empty frames are frames`() {
        FramingCase.delimited("--", max: 0).expect(["", "", ""], held: 1, of: "-------")
    }

    @Test(arguments: [",", "\r\n", "aab", "abab", "xyxyx"] as [Bytes], OverlongFrame.each)
    func `A frame may be as long as the maximum, and no longer`(delimiter: Bytes, overlong: OverlongFrame) {
        for max in [0, 1, 2, 7] {
            for excess in -1...3 where max + excess >= 0 {
                for filler in [UInt8(ascii: "-"), delimiter[0]] {
                    let payload = Bytes(repeatElement(filler, count: max + excess))
                    FramingCase.delimited(delimiter, max: max, overlong)
                        .expectAsReference("\(payload)\(delimiter)z\(delimiter)")
                }
            }
        }
    }

    @Test func `A frame that is cut short is followed by the next, wherever the delimiter began`() {
        let frames = FramingCase.delimited("\r\n", max: 2, .truncate)
        frames.expect(["ab", "y"], of: "abcdef\r\ny\r\n")
        // The delimiter begins with the last byte that could have been its end.
        frames.expect(["ab", "y"], of: "abc\r\ny\r\n")
        frames.expect(["ab", "y"], of: "ab\rc\r\ny\r\n")
    }

    @Test func `What no delimiter follows is an error at the end of the stream, or a frame if so wanted`() {
        FramingCase.delimited(",", max: 5).expect(
            ["a"], failure: .unfinished, held: 1, of: "a,b", hasEnded: true)
        FramingCase.delimited(",", max: 5).expect(["a"], of: "a,", hasEnded: true)
        FramingCase.delimited(",", max: 5, .close, .deliver).expect(["a", "b"], of: "a,b", hasEnded: true)
        // The beginning of a delimiter is not one.
        FramingCase.delimited("--", max: 2, .close, .deliver).expect(
            ["ab", "b-"], of: "ab--b-", hasEnded: true)
        FramingCase.delimited("--", max: 1, .close, .deliver)
            .expect(["a"], failure: .tooLong, held: 2, of: "a--b-", hasEnded: true)
        FramingCase.delimited("--", max: 1, .truncate, .deliver)
            .expect(["a", "b"], of: "a--b-", hasEnded: true)
    }

    @Test(arguments: OverlongFrame.each)
    func `Random frames in random pieces are as the reference has them`(overlong: OverlongFrame) {
        for delimiter in ["a", "ab", "aab", "abab", "aaaa", "abcabcab"] as [Bytes] {
            for max in [0, 1, 3, 9, 40] {
                for unterminated in [Framing.Unterminated.deliver, .fail] {
                    FramingCase.delimited(delimiter, max: max, overlong, unterminated)
                        .expectAsReference(randomOf: ["a", "b", "c", "ab", "abc", delimiter], seeds: 1...40)
                }
            }
        }
    }

    @Test func `A delimiter as long as a slab is found in time linear in the stream`() {
        // Looking again at what has been seen would be 32 Ki times 64 Ki steps, twice.
        let delimiter = Bytes(repeatElement(UInt8(ascii: "a"), count: 32_768) + [UInt8(ascii: "b")])
        let stream = Bytes(repeatElement(UInt8(ascii: "a"), count: 65_536) + [UInt8(ascii: "b")])
        let frames = FramingCase.delimited(delimiter, max: 1 << 20)
        let outcome = frames.outcome(of: [stream, stream], hasEnded: false)
        #expect(outcome.frames.map(\.payload.count) == [32_768, 32_768])
    }

    @Test func `The window lets in the longest frame and its delimiter`() {
        #expect(Framing.delimited(by: "abc", byteCountMax: 10).frameByteCountMax == 13)
        #expect(Framing.delimited(by: "abc", byteCountMax: .max).frameByteCountMax == .max)
    }
}
