// Random numbers that a seed repeats, for the tests of this target. A failing random test prints its seed.

/// Sebastiano Vigna's generator of random numbers: small, and the same everywhere.
struct SplitMix64: RandomNumberGenerator {
    /// Four that are always the same, and two that are new in every run.
    static let seeds: [UInt64] = [1, 2, 3, 0xDEAD_BEEF] + (0..<2).map { _ in .random(in: .min ... .max) }

    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func next(below bound: UInt64) -> UInt64 { next() % bound }

    /// From nothing to some days of nanoseconds, each order of magnitude as likely as the next.
    mutating func magnitude() -> UInt64 {
        let bits = next(below: 50)
        return next() & ((1 << bits) - 1)
    }
}
