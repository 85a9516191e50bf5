// Several peers of one server in one world.

import AIO
import AIOKernel
import AIOTesting
import Testing

/// What all have said, told to all.
private actor Room {
    private var members: [Connection] = []
    func join(_ connection: Connection) { members.append(connection) }
    func leave(_ connection: Connection) { members.removeAll { $0 == connection } }
    func say(_ bytes: Bytes) async throws { for member in members { try await member.write(bytes) } }
}

@Suite struct MockServerTests {
    @Test(.simulated(seeds: 0..<30)) func `what one peer says the others hear, in one order`() async throws {
        let room = Room()
        let report = try await withMockServer(serving: { connection in
            await room.join(connection)
            try await connection.write("welcome ")
            for try await bytes in connection.chunks { try await room.say(bytes) }
            await room.leave(connection)
        }) { server in
            let a = try await server.connect(), b = try await server.connect()
            #expect(a.endpoint?.address != b.endpoint?.address)
            try await a.expect("welcome ")
            try await b.expect("welcome ")
            try await a.send("hello, ")
            try await b.expect("hello, ")
            try await b.send("too")
            try await a.expect("hello, too")
            try await b.expect("too")
            for peer in [a, b] {
                peer.halfClose()
                try await peer.expectEnd()
            }
        }
        #expect(report.accepted == 2 && report.completed == 2)
    }

    @Test(.simulated(seeds: 0..<30)) func `who comes beyond the limit is refused, until somebody has left`()
        async throws
    {
        var options = ServerOptions()
        options.connectionsMax = 2
        options.refusal = .reply("full")
        let report = try await withMockServer(
            options: options,
            serving: { connection in
                try await connection.write("in")
                _ = try await connection.readAll(atMost: 10)
            }
        ) { server in
            let first = try await server.connect(), second = try await server.connect()
            try await first.expect("in")
            try await second.expect("in")
            let third = try await server.connect()
            try await third.expect("full")
            try await third.expectEnd()
            first.halfClose()
            try await first.expectEnd()
            first.close()
            await server.settle()
            try await server.connect().expect("in")
        }
        #expect(report.refused == 1 && report.accepted == 3)
    }

    @Test(.simulated(seeds: 0..<30)) func `a drain lets an answer out that is under way, and ends the idle`()
        async throws
    {
        try await withMockServer(serving: { connection in
            for try await bytes in connection.chunks { try await connection.write(bytes) }
        }) { server in
            let busy = try await server.connect(), idle = try await server.connect()
            try await idle.send("x")
            try await idle.expect("x")
            try await busy.send("question")
            server.drain()
            try await idle.expectEnd()
            try await busy.expect("question")
            try await busy.expectEnd()
        }
    }
}
