// What an actor handler may still say when it is not its peer that ends the connection.

import AIO
import AIOTesting
import Testing

/// Says why it hangs up: `drained` or `finished`.
private actor Polite: ConnectionHandler {
    let connection: Connection
    init(_ connection: Connection) { self.connection = connection }

    func dataReceived(_ bytes: Bytes) async throws {
        try await connection.write(bytes)
        if bytes == "close" { connection.close() }
    }
    func peerFinished() async throws { try await connection.write("finished") }
    func serverDraining() async throws { try await connection.write("drained") }
}

@Suite struct LastWordsTests {
    @Test(.simulated(seeds: 0..<50)) func `an actor is told that its server drains, and can say so`()
        async throws
    {
        try await withMockServer(Polite.init) { server in
            let first = try await server.connect(), second = try await server.connect()
            try await first.send("one")
            try await first.expect("one")
            try await second.send("two")
            try await second.expect("two")
            server.drain(within: .seconds(600))
            for peer in [first, second] {
                try await peer.expect("drained")
                try await peer.expectEnd()
            }
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `other ends are no drain`() async throws {
        try await withMockServer(Polite.init) { server in
            let finishing = try await server.connect(), closed = try await server.connect()
            try await finishing.send("one")
            finishing.halfClose()
            try await finishing.expect("onefinished")
            try await finishing.expectEnd()
            try await closed.send("close")
            try await closed.expect("close")
            try await closed.expectEnd()
            server.drain(within: .seconds(600))
        }
    }
}
