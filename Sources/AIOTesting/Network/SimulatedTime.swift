// The one clock of a simulated world. Kernels read it, the scheduler moves it; nothing else does.

package import AIOKernel

/// Virtual time: stands still unless it is moved.
///
/// Sendable, unchecked: a simulation and all its parts are used by one thread at a time.
package final class SimulatedTime: @unchecked Sendable {
    @safe @exclusivity(unchecked) package private(set) var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
    private let trace: SimulationTrace

    package init(trace: SimulationTrace) {
        self.trace = trace
        trace.nanoseconds = now.nanoseconds
    }

    /// Never back.
    package func advance(to time: MonotonicTime) {
        now = max(now, time)
        trace.nanoseconds = now.nanoseconds
    }
}
