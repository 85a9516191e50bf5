// What a simulation that broke down throws.

/// A run that broke down, with all that is needed to read and to repeat it.
public struct SimulationError: Error, CustomStringConvertible {
    /// What happened, who waits for what, and the last lines of the trace.
    public let description: String

    init(_ failure: SimulationFailure, seed: UInt64, trace: SimulationTrace) {
        description = """
            \(failure.title) (seed \(seed)): \(failure.description)
            \(trace.summary)
            """
    }

    init(_ text: String, seed: UInt64, trace: SimulationTrace) {
        description = "\(text) (seed \(seed))\n\(trace.summary)"
    }

    init(_ text: String) { description = text }
}
