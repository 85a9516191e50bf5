// What Linux makes of the ways in which a connection ends: close delivers, abort resets. The rest is tested in simulation.

import AIO
import SystemPackage
import Testing

extension Loopback {
    @Suite struct EndTests {
        @Test func `a reply is never truncated, though the peer's request was not read to its end`()
            async throws
        {
            // Closing a socket with unread input resets it, and the reset overtakes what was sent before.
            try await withProactor(.testing { $0.connection.receiveWindow = 1_024 }) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                var whole = 0
                for _ in 0..<50 {
                    async let count = onThread {
                        let peer = try RawPeer(connectingTo: endpoint)
                        // More than the window: when the reply comes, most of this is unread.
                        try peer.send([UInt8](repeating: 0x3f, count: 40_000))
                        let count = try peer.countToEnd()
                        peer.close()
                        return count
                    }
                    let server: Connection = try await aio.first {
                        if case .received(_, let connection) = $0 { connection } else { nil }
                    }
                    server.send(Pattern.bytes(at: 0, count: 900_000))
                    server.close()
                    if try await count == 900_000 { whole += 1 }
                    #expect(try await aio.closeReason(of: server) == .local)
                }
                #expect(whole == 50)
            }
        }

        @Test func `abort resets the connection`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
                let server = try await aio.nextAccepted()
                server.abort()
                server.abort()
                server.close()
                #expect(try await aio.closeReason(of: server) == .aborted)
                await #expect(throws: Errno.connectionReset) {
                    try await onThread { try peer.receiveToEnd() }
                }
                #expect(server.send("x") == .refused(.closed))
                peer.close()
            }
        }
    }
}
