// What a connection knows of itself, and what the program attaches to it.

import AIO
import Testing

extension Loopback {
    @Suite struct ConnectionTests {
        private final class Attachment: Sendable {}

        @Test func `both ends know their addresses and who made them`() async throws {
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair()
                #expect(pair.client.peer == pair.listener.endpoint)
                #expect(pair.server.local == pair.listener.endpoint)
                #expect(pair.client.local == pair.server.peer)
                #expect(pair.server.isAccepted && !pair.client.isAccepted)
                #expect(pair.server.proactor === aio && pair.client.proactor === aio)
                #expect(pair.server.description == "connection \(pair.server.id) from \(pair.server.peer)")
                #expect(
                    pair.client.description == "connection \(pair.client.id) to \(pair.listener.endpoint)")
            }
        }

        @Test func `a connection that is being made knows what was asked for, and no local address`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                let client = try aio.events.connect(to: listener.endpoint)
                #expect(client.peer == listener.endpoint)
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                #expect(try client.local == listener.accept().remote)
            }
        }

        @Test func `identities are unique, and equal only for the same connection`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let clients = try (0..<50).map { _ in try aio.events.connect(to: listener.endpoint) }
                var all = Set(clients)
                try await aio.run { event in
                    if case .accepted(let connection) = event { all.insert(connection) }
                    return all.count == 100
                }
                #expect(Set(all.map(\.id)).count == 100)
            }
        }

        @Test func `a connection keeps the value attached to it, and gives it back only as what it is`()
            async throws
        {
            weak var weakly: Attachment?
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair()
                let copy = pair.server
                #expect(copy.attached(as: Int.self) == nil)
                pair.server.attach(42)
                #expect(copy.attached(as: Int.self) == 42)
                #expect(copy.attached(as: String.self) == nil)
                do {
                    let attachment = Attachment()
                    weakly = attachment
                    copy.attach(attachment)
                }
                #expect(weakly != nil)
                #expect(pair.server.attached(as: Attachment.self) === weakly)
                copy.attach(nil)
                #expect(weakly == nil)
                pair.client.abort()
                _ = try await aio.closeReason(of: pair.server)
                copy.attach("still a key")
                #expect(pair.server.attached(as: String.self) == "still a key")
            }
        }

        @Test func `a connection outlives its proactor as a value that does nothing`() async throws {
            var kept: Connection?
            try await withProactor(.testing()) { aio in kept = try await aio.pair().server }
            let connection = try #require(kept)
            #expect(connection.proactor == nil)
            #expect(connection.send("x") == .refused(.closed))
            connection.finish()
            connection.close()
            connection.abort()
            #expect(connection.pendingByteCount == 0)
            #expect(connection.peer.address == .loopbackV4)
        }
    }
}
