// `aio.connect`: whom it reaches, how it fails, where its body runs, and how the connection ends.

import AIO
import AIOKernel
import Glibc
import Testing

extension Loopback {
    @Suite struct ClientTests {
        private struct OwnError: Error {}

        @Test(arguments: ["127.0.0.1:0", "[::1]:0", unixName])
        func `a connection is made, used, and closed in order`(_ text: String) async throws {
            let listener = try RawListener(on: Endpoint(parsing: text))
            try await withProactor(.testing()) { aio in
                async let served = onThread {
                    let peer = try listener.accept()
                    let request = try peer.receiveText(4)
                    try peer.send("pong")
                    let rest = try peer.receiveToEnd()
                    peer.close()
                    return request + String(decoding: rest, as: UTF8.self)
                }
                let answer = try await aio.connect(to: listener.endpoint) { connection in
                    #expect(!connection.isAccepted && connection.proactor === aio)
                    #expect(connection.peer == listener.endpoint)
                    try await connection.write("ping")
                    let answer = try await connection.read(exactly: 4)
                    try await connection.write(" and bye")
                    return answer
                }
                #expect(answer == "pong")
                #expect(try await served == "ping and bye")
                #expect(await eventually { aio.statistics.connections == 0 })
            }
            listener.close()
        }

        @Test func `a Unix socket is reached by its path, in text`() async throws {
            let directory = try TemporaryDirectory()
            try await withProactor(.testing()) { aio in
                let path = "unix:\(directory.path)/a.sock"
                let server = try await aio.listen(on: path)
                async let report = server.serve { connection in
                    while let bytes = try await connection.read() { try await connection.write(bytes) }
                }
                let echo = try await aio.connect(to: path) { connection in
                    try await connection.write("echo")
                    connection.finish()
                    return try await connection.readAll(atMost: 100)
                }
                #expect(echo == "echo")
                let owned: OwnedConnection = try await aio.connect(to: path)
                try await owned.connection.write("again")
                #expect(try await owned.connection.read(exactly: 5) == "again")
                owned.connection.close()
                server.drain(within: .seconds(5))
                #expect(try await report.completed == 2)
            }
        }

        @Test func `each way of failing has its code`() async throws {
            let vacant = try RawListener.vacatedEndpoint()
            try await withProactor(.testing()) { aio in
                func failure(_ endpoint: String) async -> AIOError.Code? {
                    let scoped = await code { try await aio.connect(to: endpoint) { _ in } }
                    let owned = await code { let _: OwnedConnection = try await aio.connect(to: endpoint) }
                    #expect(scoped == owned)
                    return scoped
                }
                #expect(await failure(vacant.description) == .connectionRefused)
                #expect(await failure("unix:/tmp/aio-tests-no-such-directory/a.sock") == .notFound)
                #expect(await failure("unix:@aio-tests-nobody") == .connectionRefused)
                #expect(await failure("127.0.0.1") == .malformedEndpoint)
                let name = await failure("no-such-host.invalid:80")
                #expect(name == .hostNotFound || name == .nameResolutionFailed)
                #expect(await eventually { aio.statistics.connections == 0 })
            }
        }

        @Test func `a peer that never answers is given up after the time limit`() async throws {
            let listener = try RawListener(backlog: 0)
            let waiting = try (0..<8).map { _ in try RawPeer(connectingTo: listener.endpoint, waits: false) }
            defer { for peer in waiting { peer.close() } }
            try #require(try !waiting[7].isReady(Int32(POLLOUT), within: 0))
            try await withProactor(.testing { $0.connection.connectTimeout = .milliseconds(150) }) { aio in
                let start = ContinuousClock.now
                let given = await code {
                    try await aio.connect(to: listener.endpoint, timeout: .milliseconds(100)) { _ in }
                }
                #expect(given == .timedOut)
                #expect(ContinuousClock.now - start >= .milliseconds(100))
                let usual = await code { try await aio.connect(to: listener.endpoint) { _ in } }
                #expect(usual == .timedOut)
                #expect(ContinuousClock.now - start >= .milliseconds(250))
                #expect(await eventually { aio.statistics.connections == 0 })
            }
            listener.close()
        }

        @Test func `after the shutdown nothing connects`() async throws {
            let listener = try RawListener()
            let aio = try Proactor(.testing())
            try await aio.shutdown()
            #expect(await code { try await aio.connect(to: listener.endpoint) { _ in } } == .shutDown)
            listener.close()
        }

        @Test func `connections made count against the limit`() async throws {
            try await withProactor(.testing { $0.connectionsMax = 1 }) { aio in
                let listener = try RawListener()
                try await aio.connect(to: listener.endpoint) { first in
                    let error = await code { try await aio.connect(to: listener.endpoint) { _ in } }
                    #expect(error == .limitReached)
                    first.abort()
                    _ = try await first.closed()
                    #expect(await code { try await aio.connect(to: listener.endpoint) { $0.abort() } } == nil)
                }
                listener.close()
            }
        }

        @Test func `a connection that a handler makes belongs to the handler's worker`() async throws {
            let upstream = try RawListener(backlog: 64)
            let endpoint = upstream.endpoint
            try await withProactor(.testing()) { aio in
                let server = try await aio.listen(on: "127.0.0.1:0")
                async let report = server.serve { connection in
                    let worker = connection.core.worker
                    #expect(worker.isCurrent)
                    try await aio.connect(to: endpoint) { second in
                        #expect(second.core.worker === worker)
                        #expect(worker.isCurrent)
                        try await second.write("x")
                        try await second.flush()
                        #expect(worker.isCurrent, "nothing changes threads in between")
                        try await connection.write("\(worker.index)")
                    }
                    #expect(worker.isCurrent)
                }
                let address = server.endpoint
                let seen = try await onThread {
                    var seen: Set<String> = []
                    for _ in 0..<60 {
                        let peer = try RawPeer(connectingTo: address)
                        let accepted = try upstream.accept()
                        seen.insert(try peer.receiveText(1))
                        accepted.close()
                        peer.close()
                    }
                    return seen
                }
                #expect(seen == ["0", "1"], "both workers had their turn")
                server.drain(within: .seconds(5))
                #expect(try await report.failed == 0)
            }
            upstream.close()
        }

        private actor Caller {
            var counter = 0

            func connect(_ aio: Proactor, to endpoint: Endpoint) async throws -> Int {
                try await aio.connect(to: endpoint) { connection in
                    // Isolated to this actor: no other call of it can come between, and its state can be used.
                    counter += 1
                    self.preconditionIsolated()
                    try await connection.write("x")
                    counter += 1
                }
                return counter
            }
        }

        @Test func `the body runs where it was asked to`() async throws {
            let listener = try RawListener(backlog: 64)
            try await withProactor(.testing()) { aio in
                let endpoint = listener.endpoint
                for executor in HandlerExecutor.all {
                    var options = ClientOptions()
                    options.executor = executor
                    try await Task.detached { [options] in
                        try await aio.connect(to: endpoint, options: options) { connection in
                            let core = connection.core
                            #expect(core.worker.isCurrent == (executor == .worker))
                            let partner = core.worker.partner
                            #expect((partner?.executors.jobs.isCurrent ?? false) == (executor == .partner))
                        }
                    }.value
                }
                #expect(try await Caller().connect(aio, to: endpoint) == 2)
            }
            listener.close()
        }

        @Test func `a body that throws closes the connection in order`() async throws {
            let listener = try RawListener()
            try await withProactor(.testing()) { aio in
                let kept = Promise<Connection>()
                let session = Task.detached {
                    try await aio.connect(to: listener.endpoint) { connection in
                        kept.put(connection)
                        try await connection.write("last words")
                        throw OwnError()
                    }
                }
                let connection = await kept.value()
                let peer = try listener.accept()
                await #expect(throws: OwnError.self) { try await session.value }
                #expect(try await onThread { try peer.receiveToEnd() } == Array("last words".utf8))
                #expect(await code { try await connection.write("x") } == .closed)
                #expect(await code { _ = try await connection.read() } == .closed)
                peer.close()
                #expect(try await connection.closed() == .local)
            }
            listener.close()
        }

        @Test func `an owned connection closes in order when it is let go of, and not before`() async throws {
            let listener = try RawListener()
            try await withProactor(.testing()) { aio in
                let connection: Connection
                let peer: RawPeer
                do {
                    let owned: OwnedConnection = try await aio.connect(to: listener.endpoint)
                    connection = owned.connection
                    peer = try listener.accept()
                    try peer.send("x")
                    #expect(try await connection.read() == "x")
                    try await connection.write("still there")
                    #expect(try await onThread { try peer.receiveText(11) } == "still there")
                    try await connection.write("and the rest")
                    withExtendedLifetime(owned) {}
                }
                #expect(try await onThread { try peer.receiveToEnd() } == Array("and the rest".utf8))
                peer.close()
                #expect(try await connection.closed() == .local)
            }
            listener.close()
        }
    }
}
