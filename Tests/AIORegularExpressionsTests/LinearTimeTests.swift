// Patterns that take back-tracking engines time out of all proportion, over frames of up to a mebibyte. What such an engine
// would do here is not end; time is printed and not judged.

import AIOBytes
import AIORegularExpressions
import Glibc
import Testing

@Suite struct LinearTimeTests {
    struct Poison: Sendable, CustomTestStringConvertible {
        let pattern: String
        /// What the frame repeats, and what it ends in.
        let unit: String
        let end: String
        let matches: Bool
        var extent = RegularExpression.Extent.wholeFrame
        /// Less where each byte costs the program's size.
        var byteCountMax = 1 << 20
        var testDescription: String { "\(pattern) over \(unit)…\(end), \(extent)" }

        func frame(_ byteCount: Int) -> Bytes {
            var body = Array(unit.utf8)
            while body.count < byteCount { body += body }
            body.removeLast(body.count - byteCount + end.utf8.count)
            return Bytes(body + end.utf8)
        }
    }

    static let poisons = [
        Poison(pattern: "(a+)+b", unit: "a", end: "", matches: false),
        Poison(pattern: "(a+)+b", unit: "a", end: "b", matches: true),
        Poison(pattern: "(a+)+b", unit: "a", end: "c", matches: false, extent: .anywhere),
        Poison(pattern: "(a|aa)*c", unit: "a", end: "", matches: false),
        Poison(pattern: "(a|aa)*c", unit: "a", end: "c", matches: true),
        Poison(pattern: "(a|aa)*c", unit: "a", end: "b", matches: false, extent: .anywhere),
        Poison(pattern: "(.*)(.*)(.*)(.*)x", unit: "abc", end: "", matches: false),
        Poison(pattern: "(.*)(.*)(.*)(.*)x", unit: "abc", end: "x", matches: true),
        Poison(pattern: "(.*)(.*)(.*)(.*)x", unit: "abc", end: "", matches: false, extent: .anywhere),
        Poison(pattern: "(((a*)*)*)*b", unit: "a", end: "c", matches: false),
        Poison(pattern: "(((a*)*)*)*b", unit: "a", end: "b", matches: true),
        Poison(
            pattern: "((a?){20}){20}b", unit: "a", end: "", matches: false, extent: .anywhere,
            byteCountMax: 65_536),
        Poison(pattern: "(a?){500}a{500}", unit: "a", end: "", matches: false),
        Poison(pattern: "[a-z]+[0-9]", unit: "a", end: "", matches: false, extent: .anywhere),
        Poison(pattern: "[a-z]+[0-9]", unit: "a", end: "0", matches: true, extent: .anywhere),
        Poison(
            pattern: "^(([a-z])+.)+[A-Z]([a-z])+$", unit: "a", end: "!", matches: false, extent: .anywhere),
    ]

    @Test(arguments: poisons)
    func `a frame made to be slow is judged rightly at any length`(poison: Poison) throws {
        let expression = try RegularExpression(poison.pattern, options: .init(poison.extent))
        for byteCount in [8_192, 65_536, 1 << 20] where byteCount <= poison.byteCountMax {
            #expect(expression.matches(poison.frame(byteCount)) == poison.matches, "\(byteCount) bytes")
        }
        report(expression, poison)
    }

    /// More states than the cache holds: each frame makes it begin anew again and again, and give up.
    @Test(arguments: [RegularExpression.Extent.wholeFrame, .anywhere])
    func `an expression whose states do not fit into memory comes to the right answer`(
        extent: RegularExpression.Extent
    ) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Generator(seed: seed)
        var options = RegularExpression.Options(extent)
        options.memoryByteCountMax = 32_768
        let pattern = extent == .anywhere ? "a[ab]{20}c" : "[ab]*a[ab]{20}c"
        let expression = try RegularExpression(pattern, options: options)
        for byteCount in [8_192, 65_536, 1 << 20] {
            var frame = random.letters(of: "ab", count: byteCount)
            #expect(!expression.matches(Bytes(frame)), "seed \(seed), \(byteCount) bytes")
            frame[byteCount - 1] = UInt8(ascii: "c")
            frame[byteCount - 22] = UInt8(ascii: "a")
            #expect(expression.matches(Bytes(frame)), "seed \(seed), \(byteCount) bytes")
            frame[byteCount - 22] = UInt8(ascii: "b")
            #expect(!expression.matches(Bytes(frame)), "seed \(seed), \(byteCount) bytes")
        }
    }

    /// Prints the processor time for a frame and for one four times as long: four times as much, if it is linear.
    private func report(_ expression: RegularExpression, _ poison: Poison) {
        func nanoseconds(_ byteCount: Int) -> Double {
            let frame = poison.frame(byteCount)
            let rounds = max(1, poison.byteCountMax / byteCount / 4)
            let begin = Self.threadTime()
            for _ in 0..<rounds { _ = expression.matches(frame) }
            return Double(Self.threadTime() - begin) / Double(rounds)
        }
        let short = nanoseconds(16_384)
        let long = nanoseconds(4 * 16_384)
        print(
            "\(poison.testDescription): \(Self.rounded(short / 16_384)) ns a byte; "
                + "four times the bytes take \(Self.rounded(long / short)) times as long")
    }

    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }

    private static func threadTime() -> Int {
        var time = timespec()
        // SAFETY: the call writes the whole value.
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}
