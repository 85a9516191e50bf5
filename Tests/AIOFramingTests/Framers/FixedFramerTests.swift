// Frames of one size, at every split.

import AIOBytes
import AIOFraming
import Testing

@Suite struct FixedFramerTests {
    @Test func `The stream is cut every so many bytes`() {
        FramingCase.fixed(3).expect(["abc", "def"], held: 2, of: "abcdefgh")
        FramingCase.fixed(1).expect(["a", "b"], of: "ab")
        FramingCase.fixed(.max).expect([], held: 3, of: "abc")
    }

    @Test func `The end of the stream inside of a frame is an error`() {
        FramingCase.fixed(3).expect(["abc"], failure: .unfinished, held: 1, of: "abcd", hasEnded: true)
        FramingCase.fixed(3).expect(["abc"], of: "abc", hasEnded: true)
    }

    @Test func `Random streams in random pieces are as the reference has them`() {
        for byteCount in [1, 2, 7, 16, 100] {
            FramingCase.fixed(byteCount).expectAsReference(randomOf: ["a", "bc", "def"], seeds: 1...300)
        }
    }

    @Test func `The window lets in a frame`() {
        #expect(Framing.fixed(byteCount: 10).frameByteCountMax == 10)
    }
}
