// An actor handler that writes down what it is called with, for the tests of the calls.

import AIOTesting
import Testing

@testable import AIO

/// Records the calls that it gets, and does in `dataReceived` what it is told.
actor Diary: ConnectionHandler {
    enum Call: Equatable, Sendable {
        case connected, dataReceived(Bytes), returned, peerFinished, closed(CloseReason)
    }

    nonisolated let connection: Connection
    private let calls: Log<Call>
    private let executor: HandlerExecutor
    private let failsIn: String?
    private let body: @Sendable (Connection, Bytes) async throws -> Void

    struct Failed: Error {}

    init(
        _ connection: Connection, _ calls: Log<Call>, executor: HandlerExecutor = .worker,
        failsIn: String? = nil,
        _ body: @escaping @Sendable (Connection, Bytes) async throws -> Void = { try await $0.write($1) }
    ) {
        self.connection = connection
        self.calls = calls
        self.executor = executor
        self.failsIn = failsIn
        self.body = body
    }

    private func note(_ call: Call, _ name: String) throws {
        calls.add(call)
        #expect(connection.isAtHome(executor), "\(name)")
        if failsIn == name { throw Failed() }
    }

    func connected() async throws {
        try note(.connected, "connected")
        try await connection.write("hello ")
    }

    func dataReceived(_ bytes: Bytes) async throws {
        try note(.dataReceived(bytes), "dataReceived")
        try await body(connection, bytes)
        calls.add(.returned)
        #expect(connection.isAtHome(executor), "after a wait")
    }

    func peerFinished() async throws {
        try note(.peerFinished, "peerFinished")
        try await connection.write(" bye")
    }

    func closed(_ reason: CloseReason) async { try? note(.closed(reason), "closed") }
}

extension Log<Diary.Call> {
    /// Reasons of `closed`.
    var closes: [CloseReason] {
        values.compactMap { if case .closed(let reason) = $0 { reason } else { nil } }
    }

    /// What `dataReceived` was given, together.
    var received: Bytes {
        Bytes(
            values.flatMap { call -> [UInt8] in
                if case .dataReceived(let bytes) = call { Array(bytes) } else { [] }
            })
    }
}
