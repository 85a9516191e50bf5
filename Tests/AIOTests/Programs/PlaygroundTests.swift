// The programs of Playground, run as a user runs them: started, talked to over real sockets, ended by a signal.

import AIO
import Foundation
import Testing

extension Loopback {
    @Suite struct PlaygroundTests {
        /// Runs a program until `body` has ended, then ends it with SIGTERM, which it must answer with status 0.
        private func run(
            _ name: String, _ arguments: [String], _ body: (Endpoint, Proactor) async throws -> Void
        ) async throws {
            let program = try Program(name, arguments)
            defer { program.kill() }
            let endpoint = try #require(await program.listeningEndpoint())
            try await withProactor { aio in try await body(endpoint, aio) }
            #expect(await program.end() == 0)
        }

        @Test(arguments: ["worker", "partner", "global"], ["closure", "actor"])
        func `echo sends back what it receives, wherever and whatever handles it`(
            executor: String, handler: String
        ) async throws {
            let arguments = ["--port", "0", "--workers", "2", "--executor", executor, "--handler", handler]
            try await run("echo", arguments) { endpoint, aio in
                try await aio.connect(to: endpoint) { connection in
                    let words = Bytes((0..<200_000).map { UInt8(truncatingIfNeeded: $0 * 7) })
                    async let sent: Void = connection.write(words)
                    #expect(try await connection.read(exactly: words.count) == words)
                    try await sent
                    connection.finish()
                    #expect(try await connection.read() == nil)
                }
            }
        }

        @Test func `chat tells every member what the others say, and nobody what they said themselves`()
            async throws
        {
            try await run("chat", ["--port", "0", "--workers", "2"]) { endpoint, aio in
                try await aio.connect(to: endpoint) { first in
                    #expect(try await first.read() == "welcome, there are 1 of you\r\n")
                    try await aio.connect(to: endpoint) { second in
                        #expect(try await second.read() == "welcome, there are 2 of you\r\n")
                        try await first.write("hello")
                        #expect(try await second.read(exactly: 5) == "hello")
                        try await second.write("and goodbye")
                        #expect(try await first.read(exactly: 11) == "and goodbye")
                    }
                }
            }
        }

        @Test func `proxy carries both ways and passes the end on`() async throws {
            try await withProactor { aio in
                let upstream = try await aio.listen(on: "127.0.0.1:0")
                async let served = upstream.serve { connection in
                    let request = try await connection.readAll(atMost: 1 << 20)
                    try await connection.write(["you said ", request])
                }
                try await run(
                    "proxy", ["--listen", "127.0.0.1:0", "--to", "\(upstream.endpoint)", "--workers", "1"]
                ) {
                    endpoint, aio in
                    try await aio.connect(to: endpoint) { connection in
                        try await connection.write("something")
                        connection.finish()
                        #expect(try await connection.readAll(atMost: 1_000) == "you said something")
                    }
                }
                upstream.drain(within: .seconds(5))
                #expect(try await served.completed == 1)
            }
        }

        @Test func `dial says what it is told and prints the answer`() async throws {
            try await withProactor { aio in
                let server = try await aio.listen(on: "127.0.0.1:0")
                async let served = server.serve { connection in
                    let request = try await connection.readAll(atMost: 1_000)
                    try await connection.write(["<", request, ">"])
                }
                let program = try Program("dial", ["\(server.endpoint)", "one\\r\\ntwo"])
                #expect(await program.output() == "<one\r\ntwo>")
                server.drain(within: .seconds(5))
                _ = try await served
            }
        }

        @Test func `dial says why it could not connect, and fails`() async throws {
            let program = try Program("dial", ["127.0.0.1:1"])
            let output = await program.output()
            #expect(output.contains("connectionRefused"))
            #expect(await program.end() != 0)
        }

        @Test func `udp-echo answers a datagram`() async throws {
            let program = try Program("udp-echo", ["--port", "0"])
            defer { program.kill() }
            let endpoint = try #require(await program.listeningEndpoint())
            try await withProactor { aio in
                let socket = try await aio.connect(udp: endpoint)
                try await socket.send("ping")
                #expect(try await socket.receive()?.bytes == "ping")
                await socket.close()
            }
            #expect(await program.end() == 0)
        }
    }
}
