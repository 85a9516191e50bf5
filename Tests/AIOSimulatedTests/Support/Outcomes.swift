// What became of something that may throw, and values that one task of a simulation leaves for another.

import AIO
import AIOTesting

typealias Outcome<Value> = Result<Value, any Error>

nonisolated(nonsending) func outcome<Value>(of body: () async throws -> Value) async -> Outcome<Value> {
    do { return .success(try await body()) } catch { return .failure(error) }
}

extension Result {
    /// The code of the error, if it is the engine's.
    var code: AIOError.Code? {
        if case .failure(let error) = self { (error as? AIOError)?.code } else { nil }
    }

    var isCancellation: Bool {
        if case .failure(let error) = self { error is CancellationError } else { false }
    }
}

/// The code of what `body` throws; nil if it throws nothing, or nothing of the engine's.
nonisolated(nonsending) func code(of body: () async throws -> Void) async -> AIOError.Code? {
    await outcome(of: body).code
}

/// A value that one task leaves for another. Waiting for it ignores cancellation: it is how tests hold a task that they
/// have cancelled.
///
/// Sendable, unchecked: of one simulation's thread.
final class Promise<Value: Sendable>: @unchecked Sendable {
    private let world: Simulation
    private(set) var kept: Value?

    /// Of the test's world, if nothing else is said.
    init(in world: Simulation? = Simulation.current) {
        guard let world else { preconditionFailure("a promise is made and kept in a simulation") }
        self.world = world
    }

    /// Once: a second value is a second outcome, which is what some tests look for.
    func put(_ value: Value) {
        precondition(kept == nil, "a second outcome")
        kept = value
    }

    /// - Throws: `SimulationError` if nobody can go on who might leave it.
    func value() async throws -> Value {
        if let kept { return kept }
        // A task of its own, which nobody cancels.
        let waiting = Task(executorPreference: world.taskExecutor) { [self, world] in
            try await world.wait(for: "a promise", within: .seconds(86_400)) { [self] in kept != nil }
        }
        try await waiting.value
        return kept!
    }
}

extension Promise<Void> {
    func keep() { put(()) }
}
