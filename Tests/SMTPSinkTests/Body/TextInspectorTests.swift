import AIO
import Testing

@testable import SMTPSinkCore

@Suite struct TextInspectorTests {
    private func problem(_ text: Bytes, splitAt split: Int) -> TextInspector.Problem? {
        var inspector = TextInspector()
        inspector.inspect(text[0..<split])
        inspector.inspect(text[split..<text.count])
        inspector.ended()
        return inspector.problem
    }

    @Test(
        arguments: [
            ("one\r\n\r\ntwo\r\n", nil), ("no end", nil), ("", nil),
            ("one\ntwo\r\n", .bareNewline), ("\n", .bareNewline), ("one\rtwo\r\n", .bareNewline),
            ("one\r", .bareNewline), ("one\r\r\n", .bareNewline), ("one\r\n\n", .bareNewline),
        ] as [(String, TextInspector.Problem?)])
    func `CR and LF belong together, wherever they are cut apart`(
        text: String, expected: TextInspector.Problem?
    ) {
        let bytes = Bytes(text)
        for split in 0...bytes.count { #expect(problem(bytes, splitAt: split) == expected) }
    }

    @Test func `a line has 1,000 bytes with its ending, and not one more`() {
        let longest = Bytes(String(repeating: "x", count: 998) + "\r\n")
        #expect(problem(Bytes(joining: [longest, longest]), splitAt: 700) == nil)
        #expect(problem(Bytes(joining: [longest, "x", longest]), splitAt: 700) == .longLine)
    }
}
