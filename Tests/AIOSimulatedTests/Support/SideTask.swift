// A task beside the test that stays in its simulation: a server that is served, a shutdown that takes its time. Waiting for
// it is a wait of the script's, so that a dead-lock is told as one.

import AIO
import AIOTesting

extension Simulation {
    /// Starts `body` beside the test. `what` is what somebody waits for who waits for its end.
    func beside<Value: Sendable>(
        _ what: String, _ body: @escaping @Sendable () async throws -> Value
    ) -> SideTask<Value> {
        SideTask(what, in: self, body)
    }

    /// The world that the calling test is in.
    static var world: Simulation { current! }

    /// How much virtual time has passed since then.
    func time(since start: AIOClock.Instant) -> Duration { start.duration(to: clock.now) }
}

extension Duration {
    /// So long, or what the steps take in which things are done then: a microsecond each.
    func isAbout(_ expected: Duration) -> Bool { self >= expected && self < expected + .milliseconds(10) }
}

/// A task that is no child of anybody's.
///
/// Sendable, unchecked: of one simulation's thread.
final class SideTask<Value: Sendable>: @unchecked Sendable {
    private let what: String
    private let world: Simulation
    private var task: Task<Void, Never>?
    private(set) var outcome: Result<Value, any Error>?

    fileprivate init(
        _ what: String, in world: Simulation, _ body: @escaping @Sendable () async throws -> Value
    ) {
        self.what = what
        self.world = world
        task = Task(executorPreference: world.taskExecutor) {
            do {
                self.outcome = .success(try await body())
            } catch {
                self.outcome = .failure(error)
            }
        }
    }

    var hasEnded: Bool { outcome != nil }

    /// Waits until it has ended; throws what it threw.
    var value: Value {
        get async throws {
            try await world.wait(for: what, within: .seconds(3_600)) { self.hasEnded }
            return try outcome!.get()
        }
    }

    func cancel() { task?.cancel() }
}
