// Lines: what ends them, what they may be, at every split.

import AIOBytes
import AIOFraming
import Testing

@Suite struct LineFramerTests {
    private static let endings: [Framing.LineEnding] = [.either, .crlf, .lf]

    @Test func `Lines end with LF or with CR LF`() {
        FramingCase.lines(.either, max: 20)
            .expect(
                ["one", "two", "th\rree", "four\r", ""], held: 2, of: "one\ntwo\r\nth\rree\nfour\r\r\n\nfi")
    }

    @Test func `With CR LF alone as the ending, a CR or LF by itself is part of the line`() {
        FramingCase.lines(.crlf, max: 20)
            .expect(["one\ntwo", "\r", "\n\n", ""], held: 3, of: "one\ntwo\r\n\r\r\n\n\n\r\n\r\n\n\rx")
    }

    @Test func `With LF alone as the ending, a CR is part of the line`() {
        FramingCase.lines(.lf, max: 20).expect(
            ["one\r", "\r", "", "\r\r"], held: 1, of: "one\r\n\r\n\n\r\r\n\r")
    }

    @Test(arguments: endings) func `Empty lines are frames`(ending: Framing.LineEnding) {
        FramingCase.lines(ending, max: 0).expect(["", "", ""], of: ending == .lf ? "\n\n\n" : "\r\n\r\n\r\n")
    }

    @Test(arguments: endings, OverlongFrame.each)
    func `A line may be as long as the maximum, and no longer`(
        ending: Framing.LineEnding, overlong: OverlongFrame
    ) {
        for max in [0, 1, 2, 7] {
            for end in ["\n", "\r\n"] as [Bytes] {
                for excess in -1...4 where max + excess >= 0 {
                    let line = Bytes(repeatElement(UInt8(ascii: "x"), count: max + excess))
                    let lines = FramingCase.lines(ending, max: max, overlong)
                    lines.expectAsReference("\(line)\(end)")
                    lines.expectAsReference("\(line)\(end)y\(end)")
                    lines.expectAsReference("\(line)\r\r\(end)y\(end)")
                }
            }
        }
    }

    @Test(arguments: OverlongFrame.each)
    func `Lines can be handed out with their endings, which do not count`(overlong: OverlongFrame) {
        let lines = FramingCase.lines(.either, max: 3, overlong, keepsEndings: true)
        lines.expect(
            ["one\n", "two\r\n", "\n", "\r\n", "x\r\r\n"], held: 2, of: "one\ntwo\r\n\n\r\nx\r\r\nfi")
        for end in ["", "\n", "\r\n", "\r\r\n"] as [Bytes] {
            for line in ["", "ab", "abc", "abcd", "abcde"] as [Bytes] {
                lines.expectAsReference("\(line)\(end)")
                lines.expectAsReference("\(line)\(end)y\(end)")
            }
        }
    }

    @Test func `A filter judges lines without the endings that are handed out`() {
        var buffer = FrameBuffer(.lines(keepsEndings: true)) { payload, _ in
            payload.byteCount == 4 ? .pass : .close
        }
        _ = buffer.append("QUIT\r\nQUIT\n")
        #expect(buffer.popFirst() == .frame("QUIT\r\n", rawByteCount: 6))
        #expect(buffer.popFirst() == .frame("QUIT\n", rawByteCount: 5))
    }

    @Test func `A line that is too long ends the stream behind the lines before it`() {
        let lines = FramingCase.lines(.either, max: 3)
        lines.expect(["a", "abc"], failure: .tooLong, held: 9, of: "a\nabc\nabcd\nabc\n")
        // By so many bytes that no ending can come of them any more.
        lines.expect(["a"], failure: .tooLong, held: 5, of: "a\nabcde")
        lines.expect(["a"], held: 4, of: "a\nabc\r")
    }

    @Test func `A line that is cut short is followed by the next line`() {
        let lines = FramingCase.lines(.either, max: 3, .truncate)
        lines.expect(["a", "abc", "abc", "", "bcd"], of: "a\nabc\nabcdefgh\r\n\nbcd\n")
        lines.expect(["abc", "z"], of: "abc\rdef\nz\n")
        lines.expect(["abc", "z"], of: "abcd\r\nz\n")
        FramingCase.lines(.crlf, max: 3, .truncate).expect(["abc", "z"], of: "abcd\ne\r\r\nz\r\n")
    }

    @Test func `What no ending follows is a line at the end of the stream, if so wanted`() {
        FramingCase.lines(.either, max: 5).expect(["one", "two"], of: "one\ntwo", hasEnded: true)
        FramingCase.lines(.either, max: 5).expect(["one", "two\r"], of: "one\ntwo\r", hasEnded: true)
        FramingCase.lines(.either, max: 5).expect(["one", ""], of: "one\n\n", hasEnded: true)
        FramingCase.lines(.either, max: 5, .close, .fail)
            .expect(["one"], failure: .unfinished, held: 3, of: "one\ntwo", hasEnded: true)
        FramingCase.lines(.either, max: 5, .close, .fail).expect(["one"], of: "one\n", hasEnded: true)
    }

    @Test func `At the end of the stream the maximum holds as well`() {
        FramingCase.lines(.either, max: 3).expect([], failure: .tooLong, held: 4, of: "abcd", hasEnded: true)
        FramingCase.lines(.either, max: 3).expect([], failure: .tooLong, held: 4, of: "abc\r", hasEnded: true)
        FramingCase.lines(.either, max: 3, .truncate).expect(["abc"], of: "abcd", hasEnded: true)
        FramingCase.lines(.either, max: 3, .truncate).expect(["abc"], of: "abcdefgh", hasEnded: true)
    }

    @Test(arguments: endings, OverlongFrame.each)
    func `Random lines in random pieces are as the reference has them`(
        ending: Framing.LineEnding, overlong: OverlongFrame
    ) {
        for max in [0, 1, 3, 9, 40] {
            for unterminated in [Framing.Unterminated.deliver, .fail] {
                FramingCase.lines(ending, max: max, overlong, unterminated)
                    .expectAsReference(
                        randomOf: ["a", "bc", "\r", "\n", "\r\n", "0123456789abcdef"], seeds: 1...60)
            }
        }
    }

    @Test func `The window lets in the longest line and its ending`() {
        #expect(Framing.lines(ending: .either, byteCountMax: 10).frameByteCountMax == 12)
        #expect(Framing.lines(ending: .crlf, byteCountMax: 10).frameByteCountMax == 12)
        #expect(Framing.lines(ending: .lf, byteCountMax: 10).frameByteCountMax == 11)
        #expect(Framing.lines(byteCountMax: .max).frameByteCountMax == .max)
        FramingCase.lines(.either, max: .max - 2).expect(["a"], held: 1, of: "a\nb")
    }
}
