// Actors that live on a worker's thread: one that many connections share, or one that is to be near a connection.

import AIOWorkers
import AIOKernel

/// An actor that many connections share (a chat room, a store), pinned to one thread of a proactor.
///
/// ```swift
/// actor Room: WorkerActor {
///     let home: Home
///     init(_ aio: Proactor) { home = aio.nextHome() }
/// }
/// ```
///
/// Why not an ordinary actor: that one runs all of its waiting calls in one go on whichever thread took it up, and
/// a busy one would hold up that worker's connections for as long as it is busy. The calls of a pinned actor are
/// jobs of its worker like any other: after so many the worker looks after its connections, then goes on.
public protocol WorkerActor: Actor {
    /// Where the actor lives: a `let`, set by its initialiser.
    nonisolated var home: Home { get }
}

extension WorkerActor {
    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe home.executors.unownedSerial }
}

/// A worker's thread, or its partner's, as a place for actors to live.
public struct Home: Sendable {
    let executors: Executors
}

extension Proactor {
    /// A worker's thread; the workers take turns.
    public func nextHome() -> Home { Home(executors: engine.nextWorker().executors) }
}

extension Connection {
    /// The thread that this connection's handler runs on; its worker's, if that runs on the global executor.
    public var home: Home { Home(executors: core.homeExecutors) }

    /// For actors that live with this connection.
    var unownedExecutor: UnownedSerialExecutor {
        if core.sink.place == .global { return unsafe core.globalSerialExecutor.asUnownedSerialExecutor() }
        return unsafe core.homeExecutors.unownedSerial
    }
}
