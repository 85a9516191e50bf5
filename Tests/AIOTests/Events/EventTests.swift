// Half-closes and resets as Linux has them. The order of events is tested in simulation.

import AIO
import Testing

extension Loopback {
    @Suite struct EventTests {
        @Test func `what is sent while the peer's end is handled still reaches the peer`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                async let reply = onThread {
                    let peer = try RawPeer(connectingTo: endpoint)
                    try peer.send("question")
                    peer.finish()
                    return String(decoding: try peer.receiveToEnd(), as: UTF8.self)
                }
                let reason: CloseReason = try await aio.first { event in
                    if case .peerHalfClosed(let connection) = event { connection.send("answer") }
                    if case .closed(_, let reason) = event { return reason }
                    return nil
                }
                #expect(reason == .peer)
                #expect(try await reply == "answer")
            }
        }

        @Test func `a peer that resets gives one closed event and ends nothing else`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                for _ in 0..<20 {
                    let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
                    let server = try await aio.nextAccepted()
                    peer.reset()
                    // Written into a reset connection, this would be SIGPIPE.
                    server.send("x")
                    #expect(try await aio.closeReason(of: server) == .reset)
                    #expect(server.send("x") == .refused(.closed))
                }
                #expect(aio.statistics.connections == 0)
            }
        }
    }
}
