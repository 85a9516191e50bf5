// What a connection knows of its addresses. What it is as a value is tested in simulation.

import AIO
import Testing

extension Loopback {
    @Suite struct ConnectionTests {
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
    }
}
