// What tests of the event stream share: a consumer beside the test that writes down what comes, and pairs of connections.

import AIO
import AIOTesting

/// A consumer of all of a proactor's events, beside the test, from when it is made to their end.
///
/// Sendable, unchecked: of one simulation's thread.
final class EventLog: @unchecked Sendable {
    private let world = Simulation.world
    private(set) var values: [Event] = []
    private var loop: SideTask<Void>?

    /// `body` is called with each event, in the consumer's task.
    init(_ aio: Proactor, _ body: @escaping @Sendable (Event) async throws -> Void = { _ in }) {
        loop = world.beside("the end of the events") { [weak self] in
            for await event in aio.events {
                self?.values.append(event)
                try await body(event)
            }
        }
    }

    /// Waits until the stream has ended; throws what `body` threw.
    func end() async throws { try await loop?.value }

    var hasEnded: Bool { loop?.hasEnded ?? false }

    // MARK: What came

    var names: [String] { values.map(\.name) }
    func count(_ name: String) -> Int { values.count { $0.name == name } }

    var accepted: [Connection] {
        values.compactMap { if case .accepted(let connection) = $0 { connection } else { nil } }
    }

    var closed: [Connection] {
        values.compactMap { if case .closed(let connection, _) = $0 { connection } else { nil } }
    }

    func closeReasons(of connection: Connection? = nil) -> [CloseReason] {
        values.compactMap { event in
            guard case .closed(let closed, let reason) = event else { return nil }
            return connection == nil || connection == closed ? reason : nil
        }
    }

    func received(by connection: Connection) -> Bytes {
        var bytes: [UInt8] = []
        for case .received(let more, connection) in values { bytes += more }
        return Bytes(bytes)
    }

    func names(of connection: Connection) -> [String] {
        values.filter { $0.connection == connection }.map(\.name)
    }
}

extension Simulation {
    /// A connection of `aio` with itself.
    func pair(
        _ aio: Proactor, _ log: EventLog, serverLimits: ConnectionLimits? = nil
    ) async throws -> Pair {
        let listener = try await aio.events.listen(on: "127.0.0.1:0", limits: serverLimits)
        let client = try aio.events.connect(to: listener.endpoint)
        try await wait(for: "both ends") {
            log.accepted.count == 1 && log.names(of: client) == ["connected"]
        }
        return Pair(client: client, server: log.accepted[0], listener: listener)
    }
}

/// Both ends of a connection, in one event stream.
struct Pair {
    let client: Connection
    let server: Connection
    let listener: Listener
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
