// The tasks from which a program may use a connection, so that one test can go through all of them.

import AIO
import AIOKernel
import AIOTesting

@testable import AIOWorkers

/// What kind of task an operation runs in.
enum Surroundings: String, CaseIterable, Sendable {
    /// The task that owns the connection.
    case ownerOnWorker, ownerOnPartner, ownerGlobal
    /// Another task on the same thread.
    case otherOnWorker, otherOnPartner, otherGlobal
    /// An actor that lives on no worker, and holds the connection.
    case actor
    /// A task that has nothing to do with it.
    case detached

    var executor: HandlerExecutor {
        switch self {
        case .ownerOnPartner, .otherOnPartner: .partner
        case .ownerGlobal, .otherGlobal: .global
        case .ownerOnWorker, .otherOnWorker, .actor, .detached: .worker
        }
    }

    var isOwner: Bool { [.ownerOnWorker, .ownerOnPartner, .ownerGlobal].contains(self) }
}

/// An operation that has been begun on a connection of its own, with a scripted peer at the other side.
struct Begun<Value: Sendable>: Sendable {
    let connection: Connection
    let peer: MockPeer
    /// What becomes of it.
    let result: Promise<Outcome<Value>>
    /// Cancels the task that it runs in.
    let cancel: @Sendable () -> Void
    /// The body that holds the connection may end.
    let mayEnd: Promise<Void>
    let session: Task<Void, any Error>

    /// Ends both sides.
    func end() async throws {
        mayEnd.keep()
        peer.close()
        try await session.value
    }
}

/// For `Surroundings.actor`.
private actor Holder {
    let connection: Connection
    init(_ connection: Connection) { self.connection = connection }

    func run<Value: Sendable>(
        _ operation: @Sendable (Connection) async throws -> Value
    ) async -> Outcome<Value> {
        await outcome { try await operation(connection) }
    }
}

extension Surroundings {
    /// Connects to `listener`, and begins `operation` on that connection in a task of this kind; once `mayBegin` is kept, if
    /// it is given.
    func begin<Value: Sendable>(
        _ world: Simulation, _ aio: Proactor, _ listener: MockListener,
        limits: ConnectionLimits = ConnectionLimits(), mayBegin: Promise<Void>? = nil,
        _ operation: @escaping @Sendable (Connection) async throws -> Value
    ) async throws -> Begun<Value> {
        var options = ClientOptions()
        options.executor = executor
        options.connection = limits
        let made = Promise<Connection>()
        let canceller = Promise<@Sendable () -> Void>()
        let result = Promise<Outcome<Value>>()
        let mayEnd = Promise<Void>()
        let session = Task(executorPreference: world.taskExecutor) { [options] in
            try await aio.connect(to: listener.endpoint, options: options) { connection in
                made.put(connection)
                if isOwner {
                    try await mayBegin?.value()
                    result.put(await outcome { try await operation(connection) })
                } else {
                    let task = start(on: connection, in: world) {
                        _ = try? await mayBegin?.value()
                        let became =
                            if self == .actor {
                                await Holder(connection).run(operation)
                            } else {
                                await outcome { try await operation(connection) }
                            }
                        result.put(became)
                    }
                    canceller.put { task.cancel() }
                }
                try await mayEnd.value()
            }
        }
        if isOwner { canceller.put { session.cancel() } }
        let connection = try await made.value()
        return Begun(
            connection: connection, peer: try await listener.accept(), result: result,
            cancel: try await canceller.value(), mayEnd: mayEnd, session: session)
    }

    private func start(
        on connection: Connection, in world: Simulation, _ body: @escaping @Sendable () async -> Void
    ) -> Task<Void, Never> {
        switch self {
        case .otherOnWorker, .otherOnPartner:
            Task(executorPreference: connection.core.homeExecutors.task) { await body() }
        default: Task(executorPreference: world.taskExecutor) { await body() }
        }
    }
}
