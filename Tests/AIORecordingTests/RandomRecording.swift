// Recordings that a seed repeats, with everything in them that a recording can have.

import AIOBytes
import AIOKernel
import AIORecording

/// Sebastiano Vigna's generator of random numbers: small, and the same everywhere.
struct SplitMix64: RandomNumberGenerator {
    /// Some that are always the same, and two that are new in every run.
    static let seeds: [UInt64] = Array(0..<20) + (0..<2).map { _ in .random(in: .min ... .max) }

    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func number(below limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }
}

extension Recording {
    static func random(_ chance: inout SplitMix64) -> Recording {
        let endpoints: [Endpoint?] = [
            nil, .ip(.loopbackV4, port: 25), .ip(.loopbackV6, port: 1), .unix("/run/a \"b\"\n.sock"),
            .abstract("ü"), .host("example.org", port: 80),
        ]
        var recording = Recording(
            client: endpoints.randomElement(using: &chance)!, server: endpoints.randomElement(using: &chance)!
        )
        var microseconds: UInt64 = 0
        var open = Set(Side.allCases)
        for _ in 0..<chance.number(below: 12) {
            microseconds += chance.next() >> UInt64(24 + chance.number(below: 40))
            let side = Side.allCases.randomElement(using: &chance)!
            let action = randomAction(of: side, open: &open, &chance)
            recording.events.append(Event(microseconds: microseconds, side, action))
            if action == .reset { break }
        }
        let kinds: [Ending.Kind?] = [
            nil, .closed, .failed("because \"of\"\n\tü"), .cut(String(repeating: "x", count: 200)), .cut(""),
        ]
        recording.ending = kinds.randomElement(using: &chance)!.map {
            Ending(microseconds: microseconds + 1, $0)
        }
        return recording
    }

    private static func randomAction(
        of side: Side, open: inout Set<Side>, _ chance: inout SplitMix64
    ) -> Action {
        if chance.number(below: 20) == 0 { return .reset }
        guard open.contains(side) else { return .reset }
        if chance.number(below: 10) == 0 {
            open.remove(side)
            return .end
        }
        return .bytes(randomBytes(&chance))
    }

    private static func randomBytes(_ chance: inout SplitMix64) -> Bytes {
        let lengths = [0, 1, 2, 39, 40, 41, 79, 80, 81, 300]
        let count = lengths.randomElement(using: &chance)!
        let alphabets: [[UInt8]] = [
            Array("abc \"\\<>+#".utf8), Array("line\r\n\t".utf8), Array(0...255), [0, 10], [10],
            [127, 128, 65],
        ]
        let alphabet = alphabets.randomElement(using: &chance)!
        return Bytes((0..<count).map { _ in alphabet.randomElement(using: &chance)! })
    }
}
