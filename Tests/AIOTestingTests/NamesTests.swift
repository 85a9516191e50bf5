// Names and socket files of simulated machines: who is found, who is not, and what is left behind.

import AIO
import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

private func echo(_ connection: Connection) async throws {
    for try await bytes in connection.chunks { try await connection.write(bytes) }
}

extension Simulation {
    /// What comes back of a word, by an engine on a machine of its own.
    fileprivate func ask(_ endpoint: Endpoint, timeout: Duration? = nil) async throws -> Bytes {
        let client = makeHost(named: "client")
        var answer = Bytes()
        try await client.withProactor { aio in
            answer = try await aio.connect(to: endpoint, timeout: timeout) { connection in
                try await connection.write("hello")
                return try await connection.read(exactly: 5) ?? Bytes()
            }
        }
        return answer
    }
}

@Suite struct NamesTests {
    @Test(.simulated(seeds: 0..<10)) func `a name stands for its addresses, the first that answers`()
        async throws
    {
        let world = try #require(Simulation.current)
        try await withMockPeer(serving: echo) { _ in
            let server = world.hosts[0].kernel.address
            world.network.names.set("Mail.example", to: [.v4(10, 0, 0, 2), server])
            world.network.names.delay = .milliseconds(20) ... .milliseconds(30)
            let start = world.time.now
            let answer = try await world.ask(.host("mail.Example", port: 4_000))
            #expect(answer == "hello")
            let time = world.time.now.nanoseconds(since: start) / 1_000_000
            #expect(time >= 20 && time <= 32)
        }
    }

    @Test(.simulated()) func `names that are not known, or fail, say so; a slow one runs into the deadline`()
        async throws
    {
        let world = try #require(Simulation.current)
        world.network.names.set("broken.example", failingWith: .nameResolutionFailed)
        for (name, code) in [
            ("nobody.example", AIOError.Code.hostNotFound), ("broken.example", .nameResolutionFailed),
            ("localhost", .connectionRefused),
        ] {
            let error = await #expect(throws: AIOError.self) { _ = try await world.ask(.host(name, port: 1)) }
            #expect(error?.code == code)
        }
        world.network.names.delay = .seconds(60) ... .seconds(60)
        let start = world.time.now
        let error = await #expect(throws: AIOError.self) {
            _ = try await world.ask(.host("localhost", port: 1), timeout: .seconds(2))
        }
        #expect(error?.code == .timedOut)
        #expect(world.time.now.nanoseconds(since: start) / 1_000_000 == 2_000)
    }

    // MARK: Socket files

    @Test(.simulated(seeds: 0..<10)) func `a server on a path is found, and takes its file with it`()
        async throws
    {
        let world = try #require(Simulation.current)
        let machine = world.makeHost(named: "one")
        let path = Endpoint.unix("/run/x.sock")
        try await machine.withProactor { aio in
            let server = try await aio.listen(on: path)
            #expect(machine.kernel.socketFileIdentity(at: "/run/x.sock") != nil)
            let inUse = await #expect(throws: AIOError.self) { _ = try await aio.listen(on: path) }
            #expect(inUse?.code == .addressInUse)
            let serving = Task(executorPreference: world.executor) { try await server.serve(echo) }
            let answer = try await aio.connect(to: path) { connection in
                try await connection.write("hello")
                return try await connection.read(exactly: 5)
            }
            #expect(answer == "hello")
            server.drain()
            _ = try await serving.value
            let gone = await #expect(throws: AIOError.self) { try await aio.connect(to: path) { _ in } }
            #expect(gone?.code == .notFound)
        }
    }

    @Test func `a file whose socket is gone is stale: refused, in the way, and removed when asked for`()
        throws
    {
        let kernel = SimulatedKernel(options: .exact, seed: 1, trace: SimulationTrace())
        let path = Endpoint.unix("/x")
        var first: Descriptor? = try kernel.makeStreamSocket(for: path)
        let early = try kernel.makeStreamSocket(for: path)
        #expect(kernel.connect(early, to: path).errno == .noSuchFileOrDirectory)
        try kernel.bind(first!, to: path)
        #expect(kernel.connect(early, to: path).errno == .connectionRefused)
        try kernel.listen(first!, backlog: 1)
        #expect(!kernel.removeStaleSocket(at: "/x"))
        let client = try kernel.makeStreamSocket(for: path)
        #expect(kernel.connect(client, to: path).isSuccess)
        let other = try kernel.makeStreamSocket(for: path)
        #expect(kernel.connect(other, to: path).wouldBlock, "the queue is full")
        let identity = kernel.socketFileIdentity(at: "/x")
        first = nil
        #expect(kernel.socketFileIdentity(at: "/x") == identity, "closing leaves the file")
        let second = try kernel.makeStreamSocket(for: path)
        #expect(throws: AIOError.self) { try kernel.bind(second, to: path) }
        #expect(kernel.removeStaleSocket(at: "/x") && !kernel.removeStaleSocket(at: "/x"))
        try kernel.bind(second, to: path)
        #expect(kernel.socketFileIdentity(at: "/x") != identity)
        kernel.removeSocketFile(at: "/x")
        #expect(kernel.socketFileIdentity(at: "/x") == nil)
    }
}
