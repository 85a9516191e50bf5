// Actors as handlers: which calls they get, in which order, on which thread, and once.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

/// Records the calls that it gets, and does in `dataReceived` what it is told.
private actor Diary: ConnectionHandler {
    enum Call: Equatable, Sendable {
        case connected, dataReceived(String), returned, peerFinished, closed(CloseReason)
    }

    nonisolated let connection: Connection
    private let calls: Recorder<Call>
    private let executor: HandlerExecutor
    private let failsIn: String?
    private let body: @Sendable (Connection, Bytes) async throws -> Void

    struct Failed: Error {}

    init(
        _ connection: Connection, _ calls: Recorder<Call>, executor: HandlerExecutor = .worker,
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
        if executor != .global { #expect(connection.isAtHome(executor), "\(name) on \(threadName())") }
        if failsIn == name { throw Failed() }
    }

    func connected() async throws {
        try note(.connected, "connected")
        try await connection.write("hello ")
    }

    func dataReceived(_ bytes: Bytes) async throws {
        try note(.dataReceived(String(decoding: Array(bytes), as: UTF8.self)), "dataReceived")
        try await body(connection, bytes)
        calls.add(.returned)
        if executor != .global { #expect(connection.isAtHome(executor), "after a wait, on \(threadName())") }
    }

    func peerFinished() async throws {
        try note(.peerFinished, "peerFinished")
        try await connection.write(" bye")
    }

    func closed(_ reason: CloseReason) async { try? note(.closed(reason), "closed") }
}

extension Loopback {
    @Suite struct HandlerTests {
        private typealias Call = Diary.Call

        @Test(arguments: ServeTests.executors)
        func `the calls come in order, on the handler's thread, and closed is the last`(
            executor: HandlerExecutor
        ) async throws {
            try await withProactor(.testing()) { aio in
                let calls = Recorder<Call>()
                let serving = try await aio.serving(
                    .testing { $0.executor = executor },
                    actor: {
                        Diary($0, calls, executor: executor)
                    })
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.receiveText(6) == "hello ")
                    #expect(try peer.exchange("one") == "one")
                    #expect(try peer.exchange("two") == "two")
                    peer.finish()
                    #expect(try peer.receiveToEnd() == Array(" bye".utf8))
                    peer.close()
                }
                #expect(try await serving.drained().completed == 1)
                #expect(
                    calls.values == [
                        .connected, .dataReceived("one"), .returned, .dataReceived("two"), .returned,
                        .peerFinished,
                        .closed(.peer),
                    ])
            }
        }

        @Test(arguments: ServeTests.executors)
        func `bytes that come while a call waits are for the next call, which is made after it`(
            executor: HandlerExecutor
        ) async throws {
            try await withProactor(.testing()) { aio in
                let calls = Recorder<Call>()
                let gate = Gate()
                let serving = try await aio.serving(
                    .testing { $0.executor = executor },
                    actor: {
                        Diary($0, calls, executor: executor) { connection, bytes in
                            if bytes == "first" { await gate.wait() }
                            try await connection.write(bytes)
                        }
                    })
                let peer = try RawPeer(connectingTo: serving.endpoint)
                try peer.send("first")
                #expect(await eventually { gate.count == 1 })
                try peer.send("second")
                #expect(await eventually { aio.statistics.total.bytesReceived == 11 })
                peer.finish()
                #expect(calls.values == [.connected, .dataReceived("first")])
                gate.open()
                try await onThread { () throws in
                    #expect(try peer.receiveToEnd() == Array("hello firstsecond bye".utf8))
                    peer.close()
                }
                _ = try await serving.drained()
                #expect(
                    calls.values == [
                        .connected, .dataReceived("first"), .returned, .dataReceived("second"), .returned,
                        .peerFinished,
                        .closed(.peer),
                    ])
            }
        }

        @Test(arguments: ["connected", "dataReceived", "peerFinished"])
        func `an error of any call ends the connection, and closed is still called, once`(call: String)
            async throws
        {
            let reports = Recorder<Report>()
            try await withProactor(reporting(to: reports)) { aio in
                let calls = Recorder<Call>()
                let serving = try await aio.serving(actor: { Diary($0, calls, failsIn: call) })
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let peer = try RawPeer(connectingTo: endpoint)
                    try peer.send("x")
                    peer.finish()
                    let expected = ["connected": "", "dataReceived": "hello ", "peerFinished": "hello x"]
                    #expect(try String(decoding: peer.receiveToEnd(), as: UTF8.self) == expected[call])
                    peer.close()
                }
                #expect(try await serving.drained().failed == 1)
                let closes = calls.values.filter { if case .closed = $0 { true } else { false } }
                #expect(closes.count == 1 && calls.values.last == closes[0])
                let passed: [Call] = [.connected, .dataReceived("x"), .returned, .peerFinished]
                let count = ["connected": 1, "dataReceived": 2, "peerFinished": 4][call]!
                #expect(Array(calls.values.dropLast()) == Array(passed.prefix(count)))
            }
            #expect(reports.count == 1 && reports.values[0].message.contains("Failed"))
        }

        @Test func `an initialiser that throws is a failed handler, and its connection ends`() async throws {
            let reports = Recorder<Report>()
            try await withProactor(reporting(to: reports)) { aio in
                let calls = Recorder<Call>()
                let serving = try await aio.serving(actor: { connection -> Diary in
                    if connection.isAccepted { throw Diary.Failed() }
                    return Diary(connection, calls)
                })
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.seesEnd())
                    peer.close()
                }
                #expect(try await serving.drained().failed == 1)
                #expect(calls.count == 0)
            }
            #expect(reports.count == 1)
        }

        // MARK: Every end

        /// How a connection can end, and what `closed` is told then.
        enum End: CaseIterable, Sendable { case peer, reset, local, aborted, idle, drain, cut, shutDown }

        @Test(arguments: End.allCases, ServeTests.executors)
        func `closed is called once, with the reason`(end: End, executor: HandlerExecutor) async throws {
            let calls = Recorder<Call>()
            let connections = Recorder<Connection>()
            try await withProactor(.testing { $0.report = { _ in } }) { aio in
                let options = ServerOptions.testing {
                    $0.executor = executor
                    if end == .idle { $0.connection = .testing { $0.idleTimeout = .milliseconds(50) } }
                }
                let serving = try await aio.serving(
                    options,
                    actor: {
                        connections.add($0)
                        return Diary($0, calls, executor: executor)
                    })
                let endpoint = serving.endpoint
                let peer = try await onThread {
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.receiveText(6) == "hello ")
                    if end != .idle { #expect(try peer.exchange("?") == "?") }
                    return peer
                }
                switch end {
                case .peer: peer.close()
                case .reset: peer.reset()
                case .local: connections.values[0].close()
                case .aborted: connections.values[0].abort()
                case .idle: break
                case .drain: serving.server.drain(within: .seconds(600))
                case .cut: serving.task.cancel()
                case .shutDown: try await aio.shutdown()
                }
                if end != .peer && end != .reset {
                    try await onThread { () throws in
                        if end == .aborted || end == .cut {
                            #expect(peer.seesReset())
                        } else {
                            #expect(try peer.seesEnd())
                        }
                        peer.close()
                    }
                }
                // A drain that begins at the same moment may end the handler's read before the worker hears of its peer.
                if end == .peer || end == .reset { _ = try await connections.values[0].closed() }
                let report = try await serving.drained()
                #expect(report.completed + report.failed == 1)
                // A cut may find a handler at its read or on its way back to it.
                if end != .cut { #expect(report.completed == 1) }
            }
            let expected: CloseReason =
                switch end {
                case .peer: .peer
                case .reset: .reset
                case .local, .drain, .shutDown: .local
                case .aborted, .cut: .aborted
                case .idle: .idle
                }
            let closes = calls.values.filter { if case .closed = $0 { true } else { false } }
            #expect(closes == [.closed(expected)] && calls.values.last == closes[0])
            #expect(calls.values.contains(.peerFinished) == (end == .peer))
        }
    }
}
