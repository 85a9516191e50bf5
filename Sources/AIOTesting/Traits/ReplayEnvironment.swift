// How a failed run is asked for again: the variables that its message names.

import Glibc

/// `AIO_SEED`, `AIO_KEEP` and `AIO_SHRINK`.
struct ReplayEnvironment {
    var seed: UInt64?
    /// With a seed only: see `Deviations`.
    var kept: DeviationSet?
    var shrinks = false

    init() throws(SimulationError) {
        if let text = Self.variable("AIO_SEED") {
            guard let seed = UInt64(text) else {
                throw SimulationError(
                    "AIO_SEED is \"\(text)\": a seed is a number, as a failed test printed it")
            }
            self.seed = seed
        }
        if let text = Self.variable("AIO_KEEP") {
            guard let kept = DeviationSet(parsing: text) else {
                throw SimulationError(
                    "AIO_KEEP is \"\(text)\": it lists numbers, as a failed test printed them: 3,17-20")
            }
            guard seed != nil else { throw SimulationError("AIO_KEEP is of one seed: set AIO_SEED, too") }
            self.kept = kept
        }
        shrinks = Self.variable("AIO_SHRINK") == "1"
    }

    private static func variable(_ name: String) -> String? {
        // SAFETY: the text is copied at once; tests do not change the environment.
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }
}
