// `serve`: connections to handlers, on the threads they were promised, in whichever pieces what peers send arrives.

import AIOTesting
import Testing

@testable import AIO

@Suite struct ServeTests {
    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.all, [Arrival.drawn, .chaos])
    func `many connections are echoed, each on the thread that its handler was promised`(
        executor: HandlerExecutor, arrival: Arrival
    ) async throws {
        let pattern = Pattern(byteCount: 3_000)
        try await withServerHost { world, aio in
            let astray = Log<Endpoint>()
            let server = try await aio.serving(.testing(executor)) { connection in
                for try await chunk in connection.chunks {
                    if !connection.isAtHome(executor) { astray.add(connection.peer) }
                    try await connection.write(chunk)
                    if !connection.isAtHome(executor) { astray.add(connection.peer) }
                }
            }
            try await withThrowingTaskGroup { clients in
                for index in 0..<4 {
                    clients.addTask {
                        let peer = try await server.connect(arrival: arrival)
                        let bytes = pattern.bytes(at: index * 131)
                        try await peer.send(bytes)
                        peer.halfClose()
                        #expect(try await peer.receiveToEnd() == bytes)
                        peer.close()
                    }
                }
                try await clients.waitForAll()
            }
            await world.settle()
            #expect(try await server.drained() == .of(accepted: 4, completed: 4))
            #expect(astray.values.isEmpty)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a shared listener hands its connections round the workers`()
        async throws
    {
        try await withServerHost(workers: 3) { world, aio in
            let workers = Log<Int>()
            let server = try await aio.serving(.testing { $0.sharesListener = true }) {
                workers.add($0.core.worker.index)
                #expect($0.isAtHome(.worker))
                try await $0.echo()
            }
            for _ in 0..<7 {
                let peer = try await server.connect()
                try await peer.exchange("round")
                peer.close()
            }
            _ = try await server.drained()
            #expect(workers.values == [0, 1, 2, 0, 1, 2, 0])
        }
    }

    @Test(.simulated(seeds: 0..<10), arguments: HandlerExecutor.all)
    func `a handler that returns with input unread still gets its reply through, whole`(
        executor: HandlerExecutor
    ) async throws {
        let reply = Pattern(byteCount: 40_000).bytes(at: 0)
        try await withServerHost { world, aio in
            let server = try await aio.serving(.testing(executor)) { connection in
                _ = try await connection.read(atMost: 10)
                try await connection.write(reply)
            }
            let peers = try await server.connect(2, arrival: .drawn)
            for peer in peers { async let _ = peer.send(Bytes([UInt8](repeating: 0x61, count: 60_000))) }
            for peer in peers {
                #expect(try await peer.receiveToEnd() == reply)
                peer.close()
            }
            await world.settle()
            #expect(try await server.drained() == .of(accepted: 2, completed: 2))
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.all)
    func `what handlers do with each other's connections from other threads is in order`(
        executor: HandlerExecutor
    ) async throws {
        // A chat of two, whose connections are of different workers.
        let pattern = Pattern(byteCount: 1_000)
        try await withServerHost { world, aio in
            let members = Log<Connection>()
            let options = ServerOptions.testing(executor) { $0.sharesListener = true }
            let server = try await aio.serving(options) { connection in
                members.add(connection)
                for try await chunk in connection.chunks {
                    for member in members.values where member != connection {
                        try await member.write(chunk)
                    }
                }
            }
            let peers = try await server.connect(2, arrival: .drawn)
            try await world.wait(for: "both") { members.count == 2 }
            #expect(Set(members.values.map { $0.core.worker.index }) == [0, 1])
            for round in 0..<5 {
                for (index, peer) in peers.enumerated() {
                    try await peer.send(pattern.bytes(at: round + index))
                }
                for (index, peer) in peers.enumerated() {
                    try await peer.expect(pattern.bytes(at: round + 1 - index))
                }
            }
            for peer in peers { peer.close() }
            await world.settle()
            #expect(try await server.drained() == .of(accepted: 2, completed: 2))
        }
    }
}
