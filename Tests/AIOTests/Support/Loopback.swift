// What all tests of this target share: the suite they live in, proactors made for tests, and ways to wait for
// events.

import AIO
import AIOKernel
import Testing

/// Tests of the whole engine over real loopback sockets. One after the other, because each checks what it
/// leaves in the process; the time limit is a watchdog that no test comes near.
@Suite(.serialized, .timeLimit(.minutes(1)), .leavesNothing) enum Loopback {}

/// The event that a test waits for did not come before the stream ended.
struct StreamEnded: Error {}

extension Proactor.Configuration {
    /// Two workers, and no patience at the end with peers that a test has left open.
    static func testing(_ change: (inout Self) -> Void = { _ in }) -> Self {
        var configuration = Self()
        configuration.workerCount = 2
        configuration.shutdownTimeout = .milliseconds(500)
        change(&configuration)
        return configuration
    }
}

extension ConnectionLimits {
    static func testing(_ change: (inout Self) -> Void) -> Self {
        var limits = Self()
        change(&limits)
        return limits
    }
}

/// Both ends of a connection, in one event stream.
struct Pair {
    let client: Connection
    let server: Connection
    let listener: Listener
}

extension Proactor {
    /// Takes events until `body` makes something of one.
    func first<Value>(_ body: (Event) throws -> Value?) async throws -> Value {
        for await event in events {
            if let value = try body(event) { return value }
        }
        throw StreamEnded()
    }

    /// Takes events until `body` says that it has seen enough.
    func run(until body: (Event) throws -> Bool) async throws {
        let _: Void = try await first { try body($0) ? () : nil }
    }

    func nextAccepted() async throws -> Connection {
        try await first { if case .accepted(let connection) = $0 { connection } else { nil } }
    }

    func closeReason(of connection: Connection) async throws -> CloseReason {
        try await first {
            if case .closed(connection, let reason) = $0 { reason } else { nil }
        }
    }

    /// A connection to a listener of the same proactor, once `.accepted` and `.connected` have come.
    func pair(
        on endpoint: String = "127.0.0.1:0", serverLimits: ConnectionLimits? = nil,
        clientLimits: ConnectionLimits? = nil
    ) async throws -> Pair {
        let listener = try await events.listen(on: endpoint, limits: serverLimits)
        let client = try events.connect(to: listener.endpoint.reachable, limits: clientLimits)
        var server: Connection?
        var isConnected = false
        try await run { event in
            switch event {
            case .accepted(let connection): server = connection
            case .connected(client): isConnected = true
            case .closed(client, let reason): throw PairFailed(reason: reason)
            default: break
            }
            return server != nil && isConnected
        }
        return Pair(client: client, server: try #require(server), listener: listener)
    }
}

extension Pair {
    /// Returns when the worker of both ends, if there is one worker, has done everything that was asked of it
    /// before: a byte goes round behind it.
    func fence(_ aio: Proactor) async throws {
        client.send(".")
        try await aio.run { if case .received(_, server) = $0 { true } else { false } }
    }
}

struct PairFailed: Error { let reason: CloseReason }

extension Endpoint {
    /// Where to connect to reach a listener that listens here.
    var reachable: Endpoint {
        if case .any(let port) = storage { .ip(.loopbackV4, port: port) } else { self }
    }
}

/// Lets other tasks run until `condition` holds: for what no event tells. False if it did not hold within the
/// limit, which is a watchdog again.
func eventually(within limit: Duration = .seconds(20), _ condition: () throws -> Bool) async rethrows -> Bool
{
    let clock = ContinuousClock()
    let deadline = clock.now.advanced(by: limit)
    while try !condition() {
        if clock.now > deadline { return false }
        await Task.yield()
    }
    return true
}

extension Event {
    /// The kind of event, in a word.
    var name: String {
        switch self {
        case .accepted: "accepted"
        case .connected: "connected"
        case .received: "received"
        case .peerHalfClosed: "peerHalfClosed"
        case .drained: "drained"
        case .closed: "closed"
        case .listenerFailed: "listenerFailed"
        case .timer: "timer"
        case .posted: "posted"
        case .signal: "signal"
        }
    }

    /// Whose event it is, if it is a connection's.
    var connection: Connection? {
        switch self {
        case .accepted(let connection), .connected(let connection), .received(_, let connection),
            .peerHalfClosed(let connection), .drained(let connection), .closed(let connection, _):
            connection
        case .listenerFailed, .timer, .posted, .signal: nil
        }
    }
}
