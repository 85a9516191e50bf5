// A server in a ServiceGroup: served, ended gracefully, cancelled.

import AIO
import AIOService
import Logging
import ServiceLifecycle
import Testing

extension Loopback {
    @Suite struct ProactorServiceTests {
        /// A service that echoes, and tells where.
        private func echo(_ endpoint: @escaping @Sendable (Endpoint) -> Void) -> ProactorService {
            ProactorService { aio in
                let server = try await aio.listen(on: "127.0.0.1:0")
                endpoint(server.endpoint)
                try await server.serve { connection in
                    for try await chunk in connection.chunks { try await connection.write(chunk) }
                }
            }
        }

        private func group(_ service: ProactorService) -> ServiceGroup {
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            return ServiceGroup(configuration: .init(services: [.init(service: service)], logger: logger))
        }

        @Test func `a graceful shutdown of the group ends idle connections and returns`() async throws {
            let (endpoints, found) = AsyncStream.makeStream(of: Endpoint.self)
            let group = group(echo { found.yield($0) })
            async let ran: Void = group.run()
            var iterator = endpoints.makeAsyncIterator()
            let endpoint = try #require(await iterator.next())
            try await withProactor { aio in
                try await aio.connect(to: endpoint) { connection in
                    try await connection.write("hello")
                    #expect(try await connection.read(exactly: 5) == "hello")
                    await group.triggerGracefulShutdown()
                    // The handler's loop has ended, and its connection was closed in order.
                    #expect(try await connection.read() == nil)
                }
            }
            try await ran
        }

        @Test func `cancelling the group cuts connections at once`() async throws {
            let (endpoints, found) = AsyncStream.makeStream(of: Endpoint.self)
            let group = group(echo { found.yield($0) })
            let run = Task { try await group.run() }
            var iterator = endpoints.makeAsyncIterator()
            let endpoint = try #require(await iterator.next())
            try await withProactor { aio in
                try await aio.connect(to: endpoint) { connection in
                    try await connection.write("hello")
                    #expect(try await connection.read(exactly: 5) == "hello")
                    run.cancel()
                    await #expect(throws: AIOError.self) { while try await connection.read() != nil {} }
                }
            }
            _ = await run.result
        }

        @Test func `an address that cannot be read is an error when the service is made`() {
            #expect(throws: AIOError.self) { try ProactorService(on: "nowhere at all") { _ in } }
        }
    }
}
