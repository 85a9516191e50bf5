// `aio.connect` over real sockets: whom it reaches, with what error it fails, on which thread its body runs. The rest is
// tested in simulation.

import AIO
import AIOKernel
import Testing

extension Loopback {
    @Suite struct ClientTests {
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
                let (answer, made) = try await aio.connect(to: listener.endpoint) { connection in
                    #expect(!connection.isAccepted && connection.proactor === aio)
                    #expect(connection.peer == listener.endpoint)
                    try await connection.write("ping")
                    let answer = try await connection.read(exactly: 4)
                    try await connection.write(" and bye")
                    return (answer, connection)
                }
                #expect(answer == "pong")
                #expect(try await served == "ping and bye")
                #expect(try await made.closed() == .local)
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
            }
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
    }
}
