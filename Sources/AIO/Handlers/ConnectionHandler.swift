// Actor handlers: one actor a connection, called with what happens to it. In the spirit of Twisted's protocols,
// except that each call is awaited before the next is made.

public import AIOBytes
import AIOKernel
public import AIOWorkers

/// An actor that handles one connection.
///
/// ```swift
/// actor Echo: ConnectionHandler {
///     let connection: Connection
///     init(_ connection: Connection) { self.connection = connection }
///     func dataReceived(_ bytes: Bytes) async throws { try await connection.write(bytes) }
/// }
/// try await aio.serve(on: "127.0.0.1:7001", handler: Echo.init)
/// ```
///
/// The calls are made one after the other: `connected`, then `dataReceived` for what arrives, `peerFinished` if the
/// peer ends its side or `serverDraining` if the server ends it, and `closed` once and last. The next is not made until the one before has returned, which
/// is the back-pressure: while a handler waits, its connection's window fills and the peer is stopped. The actor
/// itself stays open to calls of others meanwhile (actors are re-entrant).
///
/// The actor lives where its connection's handlers run (`ServerOptions.executor`): on the connection's worker
/// unless another was chosen, so that neither a call nor a write hops between threads. All handlers of one worker
/// share that thread; a call from one to another of the same worker hops nowhere either.
///
/// An error that a call throws ends the connection (gracefully), is reported once with the peer, and counted.
public protocol ConnectionHandler: Actor {
    /// The connection that this actor handles: a `let`, set by its initialiser.
    nonisolated var connection: Connection { get }

    /// The connection is there; nothing has been read. A good place for a greeting.
    func connected() async throws
    /// Bytes arrived: at least one.
    func dataReceived(_ bytes: Bytes) async throws
    /// The peer has ended its side: no more bytes will come. What is written before this returns is still sent;
    /// then the connection is closed.
    func peerFinished() async throws
    /// The server drains, and nothing of this connection is under way: no more will be read. What is written before this
    /// returns is still sent; then the connection is closed. For protocols that say why they hang up.
    func serverDraining() async throws
    /// The connection is closed, whatever the reason; nothing follows.
    func closed(_ reason: CloseReason) async
}

extension ConnectionHandler {
    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe connection.unownedExecutor }

    public func connected() async throws {}
    public func peerFinished() async throws {}
    public func serverDraining() async throws {}
    public func closed(_ reason: CloseReason) async {}

    /// Makes the calls, from the connection's beginning to its end. Throws what a call threw.
    ///
    /// All in one function, because every frame here is there for as long as the connection is, and the first slab of a
    /// task, a kilobyte, is to hold those of the handler too.
    func handle() async throws {
        let failure: (any Error)?
        do {
            if let frames = self as? any FrameHandler { try frames.beginFraming() }
            try await connected()
            while true {
                var attempt = try orEnd { try connection.core.tryRead(atMost: .max) }
                while case .wait(let number, let isOwner) = attempt {
                    if isOwner {
                        unsafe await withUnsafeContinuation { unsafe connection.core.suspendReader($0) }
                    } else {
                        await connection.core.waitForInput(number)
                    }
                    attempt = try orEnd { try connection.core.readAgain(atMost: .max) }
                }
                guard case .bytes(let bytes) = attempt else { break }
                try await dataReceived(bytes)
            }
            if connection.core.peerHasFinished {
                try await peerFinished()
            } else if connection.core.isEndedByDrain {
                try await serverDraining()
            }
            failure = nil
        } catch {
            failure = error
        }
        if failure is CancellationError { connection.abort() } else { connection.close() }
        await closed(connection.core.waitUntilClosedRegardless())
        if let failure { throw failure }
    }

    /// That the connection broke is not an error of the handler's: it is the end, and `closed` is told why.
    private nonisolated func orEnd(
        _ attempt: () throws -> ConnectionCore.ReadAttempt
    ) throws -> ConnectionCore.ReadAttempt {
        do {
            return try attempt()
        } catch let error as AIOError where error.code != .misuse {
            return .end
        }
    }
}

extension Proactor {
    /// Serves connections to these addresses, each with an actor that `handler` makes. See
    /// `Server.serve(handler:)`.
    @discardableResult
    public func serve<Handler: ConnectionHandler>(
        on endpoints: Endpoint..., options: ServerOptions = ServerOptions(),
        handler: @escaping @Sendable (Connection) throws -> Handler
    ) async throws(AIOError) -> DrainReport {
        try await listen(on: endpoints, options: options).serve(handler: handler)
    }

    /// The same for addresses in text.
    @discardableResult
    public func serve<Handler: ConnectionHandler>(
        on endpoints: String..., options: ServerOptions = ServerOptions(),
        handler: @escaping @Sendable (Connection) throws -> Handler
    ) async throws(AIOError) -> DrainReport {
        try await listen(on: parse(endpoints), options: options).serve(handler: handler)
    }
}

extension Server {
    /// Runs an actor for each connection, made by `handler` (as a rule an initialiser: `Echo.init`), until the
    /// server has drained. What ends it and what cancelling does is as for a closure.
    @discardableResult
    public func serve<Handler: ConnectionHandler>(
        handler: @escaping @Sendable (Connection) throws -> Handler
    ) async throws(AIOError) -> DrainReport {
        try await serve(by: .actor(handler))
    }
}
