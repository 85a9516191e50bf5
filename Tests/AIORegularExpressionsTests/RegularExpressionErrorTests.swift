import AIORegularExpressions
import Testing

@Suite struct RegularExpressionErrorTests {
    private typealias Options = RegularExpression.Options

    private func error(_ pattern: String, _ options: RegularExpression.Options = .init())
        -> RegularExpressionError?
    {
        do {
            _ = try RegularExpression(pattern, options: options)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        arguments: [
            ("(a", "missing ): (a", "(a"), ("a)", "unexpected ): a)", "a)"), ("[a", "missing ]: [a", "[a"),
            ("*", "no argument for repetition operator: *", "*"),
            ("a**", "bad repetition operator: **", "**"),
            ("[z-a]", "invalid character class range: z-a", "z-a"), (#"\"#, #"trailing \"#, nil),
            (#"(.)\1"#, #"invalid escape sequence: \1"#, #"\1"#),
            ("(?=a)", "invalid perl operator: (?=", "(?="),
            (#"\x{100}"#, #"invalid escape sequence: \x{100"#, #"\x{100"#),
        ] as [(String, String, String?)])
    func `a malformed pattern fails with RE2's words and the part that they are about`(
        pattern: String, detail: String, fragment: String?
    ) {
        let error = error(pattern)
        #expect(error?.code == .malformed)
        #expect(error?.pattern == pattern)
        #expect(error?.detail == detail)
        #expect(error?.fragment == fragment)
    }

    @Test(arguments: [
        "((a{1000}){1000}){1000}", "a{1001}", "(a{100}){100}", "((((a{10}){10}){10}){10}){10}",
    ])
    func `repetitions without measure are too large`(pattern: String) {
        #expect(error(pattern)?.code == .tooLarge)
        #expect(error(pattern)?.detail.hasPrefix("invalid repetition size") == true)
    }

    @Test func `a program is as large as the options allow, or an error`() throws {
        let size = try RegularExpression("[a-z]{100}").programSize
        var options = Options()
        options.programSizeMax = size
        #expect(error("[a-z]{100}", options) == nil)
        options.programSizeMax = size - 1
        #expect(error("[a-z]{100}", options)?.code == .tooLarge)
        #expect(
            error("[a-z]{100}", options)?.detail
                == "a program of \(size) instructions; at most \(size - 1) are allowed")
        #expect(error("(a{500}|b{500}|c{500}|d{500})")?.code == .tooLarge)
    }

    @Test func `an expression that does not fit into its memory is an error`() {
        var options = Options()
        options.programSizeMax = .max
        options.memoryByteCountMax = 8_192
        #expect(error("a{10}", options) == nil)
        #expect(error("[ab]{900}", options)?.detail == "pattern too large - compile failed")
        #expect(error("[ab]{900}", options)?.code == .tooLarge)
        // Forward it fits, since two thirds of the memory are for that; backward it does not.
        options.memoryByteCountMax = 16_384
        #expect(error("[ab]{900}", options)?.code == .tooLarge)
        #expect(
            error("[ab]{900}", options)?.detail
                == "no room for the program: 16384 bytes of memory are allowed")
        options.memoryByteCountMax = 32_768
        #expect(error("[ab]{900}", options) == nil)
    }

    @Test func `a long pattern is refused before it is read`() {
        let options = Options()
        #expect(error(String(repeating: "a|", count: 4_095) + "aa", options)?.code != .tooLarge)
        let long = error(String(repeating: "a|", count: 4_096) + "a", options)
        #expect(long?.code == .tooLarge)
        #expect(long?.detail == "a pattern of 8193 bytes; at most 8192 are allowed")
        #expect((long?.description.utf8.count ?? .max) < 300)
    }

    @Test func `nesting is no danger to the stack`() {
        var options = Options()
        options.patternByteCountMax = .max
        let depth = 100_000
        let nested = String(repeating: "(", count: depth) + "a" + String(repeating: ")", count: depth)
        #expect(error(nested, options)?.code != .malformed)
        #expect(error(String(repeating: "(", count: depth), options)?.code == .malformed)
    }

    @Test func `characters that are no bytes are refused where bytes are matched`() {
        let error = error("caf[é]")
        #expect(error?.code == .notASCII)
        #expect(error?.fragment == "é")
        #expect(self.error("caf[é]", Options(.wholeFrame, encoding: .utf8)) == nil)
    }
}
