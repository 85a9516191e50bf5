// What a connection is as a value, and what the program attaches to it.

import AIO
import AIOKernel
import AIOTesting
import Testing

@Suite struct ConnectionTests {
    private final class Attachment: Sendable {}

    @Test(.simulated(seeds: 0..<20)) func `identities are unique, and equal only for the same connection`()
        async throws
    {
        try await withProgram(configure: { $0.workerCount = 2 }) { _, aio in
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            let clients = try (0..<20).map { _ in try aio.events.connect(to: listener.endpoint) }
            var all = Set(clients)
            try await aio.run { event in
                if case .accepted(let connection) = event { all.insert(connection) }
                return all.count == 40
            }
            #expect(Set(all.map(\.id)).count == 40)
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a connection keeps the value attached to it, and gives it back only as what it is`() async throws {
        try await withProgram { _, aio in
            weak var weakly: Attachment?
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

    @Test(.simulated(seeds: 0..<20))
    func `a connection outlives its proactor as a value that does nothing`() async throws {
        try await withSimulation { world in
            var kept: Connection?
            try await world.host("program").withProactor { aio in kept = try await aio.pair().server }
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
