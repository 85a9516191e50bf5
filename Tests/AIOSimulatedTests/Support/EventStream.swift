// Taking events until the one comes that a test waits for, and both ends of a connection in one event stream.

import AIO
import AIOTesting
import Testing

/// The event that a test waits for did not come before the stream ended.
struct StreamEnded: Error {}

/// Both ends of a connection, in one event stream.
struct BothEnds {
    let client: Connection
    let server: Connection
    let listener: Listener
}

struct PairFailed: Error { let reason: CloseReason }

/// A connection of the event stream whose other side is a script.
struct Met {
    let server: Connection
    let peer: MockPeer
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
        try await first { if case .closed(connection, let reason) = $0 { reason } else { nil } }
    }

    /// Listens, and is called by a scripted peer; the event `.accepted` has come.
    func meet(
        in world: Simulation, over road: Road = .tcp, limits: ConnectionLimits? = nil,
        arrival: Arrival = .asSent
    ) async throws -> Met {
        let listener = try await events.listen(on: road.endpoint, limits: limits)
        let peer = try await road.connect(in: world, arrival: arrival)
        return Met(server: try await nextAccepted(), peer: peer, listener: listener)
    }

    /// A connection to a listener of the same proactor, once `.accepted` and `.connected` have come.
    func pair(
        on endpoint: String = "127.0.0.1:0", serverLimits: ConnectionLimits? = nil,
        clientLimits: ConnectionLimits? = nil
    ) async throws -> BothEnds {
        let listener = try await events.listen(on: endpoint, limits: serverLimits)
        let client = try events.connect(to: listener.endpoint, limits: clientLimits)
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
        return BothEnds(client: client, server: try #require(server), listener: listener)
    }
}

extension Event {
    /// The kind of event, in a word.
    var kind: String {
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
    var subject: Connection? {
        switch self {
        case .accepted(let connection), .connected(let connection), .received(_, let connection),
            .peerHalfClosed(let connection), .drained(let connection), .closed(let connection, _):
            connection
        case .listenerFailed, .timer, .posted, .signal: nil
        }
    }
}
