// `serve`: connections to handlers, on the threads they were promised, from any number of addresses. More of it is in
// Tests/AIOSimulatedTests/Servers/ServeTests.swift.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

extension Loopback {
    @Suite struct ServeTests {
        @Test(arguments: HandlerExecutor.all)
        func `many connections are echoed, each on the thread that its handler was promised`(
            executor: HandlerExecutor
        ) async throws {
            let connectionCount = isSanitized ? 20 : 100
            let byteCount = isSanitized ? 20_000 : 100_000
            let astray = Recorder<String>()
            try await withProactor(.testing()) { aio in
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    for try await chunk in connection.chunks {
                        if !connection.isAtHome(executor) { astray.add(threadName()) }
                        try await connection.write(chunk)
                        if !connection.isAtHome(executor) { astray.add(threadName()) }
                    }
                }
                let endpoint = serving.endpoint
                try await withThrowingTaskGroup(of: Void.self) { clients in
                    for client in 0..<4 {
                        clients.addTask {
                            try await onThread { () throws in
                                for index in 0..<connectionCount / 4 {
                                    let position = client * 7_919 + index * 104_729
                                    try Self.checkEcho(endpoint, position: position, byteCount: byteCount)
                                }
                            }
                        }
                    }
                    try await clients.waitForAll()
                }
                let report = try await serving.drained()
                #expect(report.accepted == connectionCount && report.completed == connectionCount)
                #expect(report.failed == 0 && report.refused == 0 && report.cut == 0)
            }
            #expect(astray.values.isEmpty)
        }

        /// Sends in pieces that the socket buffers can hold, so that neither side waits for the other for ever.
        private static func checkEcho(_ endpoint: Endpoint, position: Int, byteCount: Int) throws {
            let peer = try RawPeer(connectingTo: endpoint)
            defer { peer.close() }
            var sent = 0
            while sent < byteCount {
                let count = min(20_000, byteCount - sent)
                try peer.send(Array(Pattern.bytes(at: position + sent, count: count)))
                let echo = Bytes(try peer.receive(count))
                #expect(Pattern.matches(echo, at: position + sent))
                sent += count
            }
            peer.finish()
            #expect(try peer.seesEnd())
        }

        @Test func `one server listens on several addresses of several kinds`() async throws {
            let directory = try TemporaryDirectory()
            try await withProactor(.testing()) { aio in
                let server = try await aio.listen(
                    on: "127.0.0.1:0", "127.0.0.1:0", "unix:\(directory.path)/a.sock")
                let endpoints = server.endpoints
                #expect(endpoints.count == 3 && Set(endpoints).count == 3 && server.endpoint == endpoints[0])
                let task = Task { try await server.serve { try await $0.echo() } }
                try await onThread { () throws in
                    for endpoint in endpoints {
                        let peer = try RawPeer(connectingTo: endpoint)
                        #expect(try peer.exchange("to \(endpoint)") == "to \(endpoint)")
                        peer.close()
                    }
                }
                server.drain()
                #expect(try await task.value.accepted == 3)
                #expect(!directory.exists("a.sock"))
                #expect(isRefused(endpoints[1]))
            }
        }

        @Test func `port 0 becomes the port that connections come to`() async throws {
            try await withProactor(.testing()) { aio in
                let ports = Recorder<UInt16?>()
                let serving = try await aio.serving {
                    ports.add($0.local?.port)
                    try await $0.echo()
                }
                let endpoint = serving.endpoint
                #expect(endpoint.port != 0)
                try await onThread { () throws in
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.exchange("?") == "?")
                    peer.close()
                }
                #expect(ports.values == [endpoint.port])
                _ = try await serving.drained()
            }
        }

        /// Linux resets a connection that is closed with input unread, and what was sent before may be lost.
        @Test func `a handler that returns with input unread still gets its reply through, whole`()
            async throws
        {
            let replyCount = 200_000
            try await withProactor(.testing()) { aio in
                let serving = try await aio.serving { connection in
                    _ = try await connection.read(atMost: 10)
                    try await connection.write(Pattern.bytes(at: 5, count: replyCount))
                }
                let endpoint = serving.endpoint
                for _ in 0..<5 {
                    try await onThread { () throws in
                        let peer = try RawPeer(connectingTo: endpoint)
                        try peer.send([UInt8](repeating: 0x61, count: 1_000_000))
                        let reply = Bytes(try peer.receive(replyCount))
                        #expect(Pattern.matches(reply, at: 5) && reply.count == replyCount)
                        #expect(try peer.seesEnd())
                        peer.close()
                    }
                }
                let report = try await serving.drained()
                #expect(report.failed == 0 && report.cut == 0)
            }
        }
    }
}
