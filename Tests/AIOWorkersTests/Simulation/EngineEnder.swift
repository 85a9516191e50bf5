// Whoever ends a simulated engine from outside: an operator who does not look what is under way, or one who
// comes back from time to time to see whether it is all over.

import AIOKernel
@testable import AIOTesting

/// Ends the engine once, from a body of its own.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
final class EngineEnder: ThreadBody, @unchecked Sendable {
    private let kernel: SimulatedKernel
    private var stepsLeft: Int?
    private let isDue: () -> Bool
    private let end: () -> Void

    /// After `steps` steps; or, if that is nil, when `isDue` says so, asked every second of virtual time.
    init(kernel: SimulatedKernel, steps: Int?, isDue: @escaping () -> Bool, end: @escaping () -> Void) {
        self.kernel = kernel
        stepsLeft = steps
        self.isDue = isDue
        self.end = end
    }

    func step() -> ThreadStep {
        if let left = stepsLeft, left > 0 {
            stepsLeft = left - 1
            return .proceed
        }
        if stepsLeft == nil, !isDue() {
            return .wait(epoll: -1, deadline: kernel.now.advanced(by: .seconds(1)))
        }
        end()
        return .finished
    }
}
