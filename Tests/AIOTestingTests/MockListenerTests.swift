// A scripted server: it accepts when the script says so, and its peers are like any other.

import AIO
import AIOKernel
import AIOTesting
import Testing

@Suite struct MockListenerTests {
    @Test(.simulated(seeds: 0..<30), arguments: ["*:80", "unix:/run/upstream"])
    func `a client meets a script at the other side`(_ address: String) async throws {
        try await withSimulation { world in
            let host = world.host("upstream")
            let listener = try host.listen(on: address)
            try await host.withProactor { aio in
                async let answer = aio.connect(to: listener.endpoint) { connection in
                    try await connection.write("question")
                    connection.finish()
                    return try await connection.readAll(atMost: 100)
                }
                let peer = try await listener.accept()
                try await peer.expect("question")
                try await peer.expectEnd()
                try await peer.send("ans")
                try await peer.send("wer")
                peer.close()
                #expect(try await answer == "answer")
            }
        }
    }

    @Test(.simulated(seeds: 0..<10)) func `what an accepted peer sends arrives as its listener says`()
        async throws
    {
        try await withSimulation { world in
            let listener = try world.host("upstream").listen(on: "*:80", arrival: .oneByteAtATime)
            try await world.host("client").withProactor { aio in
                async let pieces = aio.connect(to: "upstream:80") { connection in
                    var pieces: [Bytes] = []
                    while let piece = try await connection.read() { pieces.append(piece) }
                    return pieces
                }
                let peer = try await listener.accept()
                try await peer.send("one")
                peer.halfClose()
                #expect(try await pieces == ["o", "n", "e"])
                peer.close()
            }
        }
    }

    @Test(.simulated(seeds: 0..<10))
    func `who comes beyond the backlog waits, and is refused when it closes`()
        async throws
    {
        try await withSimulation { world in
            let listener = try world.host("upstream").listen(on: "*:80", backlog: 1)
            let client = world.host("client")
            let first = try await client.connect(to: "upstream:80")
            try await client.withProactor { aio in
                async let code = {
                    do {
                        try await aio.connect(to: "upstream:80", timeout: .seconds(5)) { _ in }
                        return nil as AIOError.Code?
                    } catch let error as AIOError { return error.code }
                }()
                await world.settle()
                #expect(listener.waitingCount == 1 && aio.statistics.connections == 1)
                #expect(try await code == .timedOut)
                listener.close()
                try await first.expectReset()
                await #expect(throws: AIOError.self) { try await aio.connect(to: "upstream:80") { _ in } }
                await #expect(throws: AIOError.self) { _ = try await listener.accept() }
            }
        }
    }

    @Test func `nobody who connects is said as such`() async throws {
        try await withSimulation { world in
            let listener = try world.host("upstream").listen(on: "*:0")
            let error = await #expect(throws: SimulationError.self) { _ = try await listener.accept() }
            #expect(error?.description.contains("somebody to connect to \(listener.endpoint)") == true)
        }
    }
}
