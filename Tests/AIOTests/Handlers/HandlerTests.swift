// An actor as handler, over a real socket: each executor's thread, and all calls once. The rest is in
// Tests/AIOSimulatedTests/Handlers/HandlerTests.swift.

import AIO
import AIOKernel
import Testing

/// Answers the last call that it got.
private actor Parrot: ConnectionHandler {
    nonisolated let connection: Connection
    private let executor: HandlerExecutor
    private let reasons: Recorder<CloseReason>

    init(_ connection: Connection, executor: HandlerExecutor, reasons: Recorder<CloseReason>) {
        self.connection = connection
        self.executor = executor
        self.reasons = reasons
    }

    private func say(_ bytes: Bytes) async throws {
        #expect(connection.isAtHome(executor), "on \(threadName())")
        try await connection.write(bytes)
        #expect(connection.isAtHome(executor), "after a wait, on \(threadName())")
    }

    func connected() async throws { try await say("hello ") }
    func dataReceived(_ bytes: Bytes) async throws { try await say(bytes) }
    func peerFinished() async throws { try await say(" bye") }
    func closed(_ reason: CloseReason) async { reasons.add(reason) }
}

extension Loopback {
    @Suite struct HandlerTests {
        @Test(arguments: HandlerExecutor.all)
        func `an actor is called from a connection's beginning to its end, on its thread`(
            executor: HandlerExecutor
        ) async throws {
            try await withProactor(.testing()) { aio in
                let reasons = Recorder<CloseReason>()
                let serving = try await aio.serving(
                    .testing { $0.executor = executor },
                    actor: { Parrot($0, executor: executor, reasons: reasons) })
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.receiveText(6) == "hello ")
                    for text in ["one", "two"] { #expect(try peer.exchange(text) == text) }
                    peer.finish()
                    #expect(try peer.receiveToEnd() == Array(" bye".utf8))
                    peer.close()
                }
                #expect(try await serving.drained().completed == 1)
                #expect(reasons.values == [.peer])
            }
        }
    }
}
