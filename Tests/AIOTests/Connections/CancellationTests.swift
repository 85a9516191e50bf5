// Cancelling from another thread at the very moment when what is waited for comes: races that only real threads have. What
// else cancelling does is tested in simulation (Tests/AIOSimulatedTests/Connections).

import AIO
import AIOKernel
import Testing

extension Loopback {
    @Suite struct CancellationTests {
        @Test(arguments: Surroundings.allCases)
        func `a read whose cancellation races its bytes has one outcome, and every byte is read once`(
            _ surroundings: Surroundings
        ) async throws {
            let rounds = isSanitized ? 40 : 300
            var generator = SeededGenerator(state: testSeed())
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                var cancelled = 0
                for round in 0..<rounds {
                    let begun = try await surroundings.begin(aio, listener) {
                        round % 2 == 0 ? try await $0.read() : try await $0.read(exactly: 4)
                    }
                    // In half of the rounds it has come to wait by then.
                    if Bool.random(using: &generator) { for _ in 0..<10_000 { spinOnce() } }
                    let cancelsFirst = Bool.random(using: &generator)
                    let pause = Int.random(in: 0..<3_000, using: &generator)
                    if cancelsFirst { begun.cancel() } else { try begun.peer.send("1234") }
                    for _ in 0..<pause { spinOnce() }
                    if cancelsFirst { try begun.peer.send("1234") } else { begun.cancel() }
                    let result = await begun.result.value()
                    if case .success(let bytes) = result {
                        #expect(bytes == "1234")
                        // Nothing of it is left: the next bytes are the next ones.
                        try begun.peer.send("next")
                        #expect(try await begun.connection.read(exactly: 4) == "next")
                    } else {
                        #expect(result.isCancellation)
                        cancelled += 1
                        #expect(try await begun.connection.read(exactly: 4) == "1234")
                    }
                    try await begun.end()
                }
                #expect(cancelled > 0)
                listener.close()
            }
        }

        private static let narrow = ConnectionLimits.testing {
            $0.highWaterMark = 8_192
            $0.lowWaterMark = 4_096
        }

        /// Writes until a write throws; how many bytes were accepted before.
        private static func writeOn(_ connection: Connection) async throws -> Int {
            var written = 0
            do {
                while true {
                    let bytes = Pattern.bytes(at: written, count: 3_000 + written % 977)
                    if written % 2 == 0 {
                        try await connection.write(bytes)
                    } else {
                        try await connection.write([bytes.prefix(1_000), bytes.dropFirst(1_000)])
                    }
                    written += bytes.count
                    // One that need not wait is accepted from a cancelled task too, and this is not about those.
                    if Task.isCancelled { return written }
                }
            } catch is CancellationError {
                return written
            }
        }

        @Test(arguments: Surroundings.allCases)
        func `a write whose cancellation races the room for it is accepted whole or not at all`(
            _ surroundings: Surroundings
        ) async throws {
            let rounds = isSanitized ? 20 : 100
            var generator = SeededGenerator(state: testSeed())
            try await withProactor(.testing()) { aio in
                let listener = try RawListener(on: Endpoint(parsing: unixName))
                for _ in 0..<rounds {
                    let begun = try await surroundings.begin(aio, listener, limits: Self.narrow) {
                        try await Self.writeOn($0)
                    }
                    let pause = Int.random(in: 0..<100_000, using: &generator)
                    async let received = begun.peer.receivePattern()
                    for _ in 0..<pause { spinOnce() }
                    begun.cancel()
                    let accepted = try await begun.result.value().get()
                    begun.connection.finish()
                    #expect(try await received == accepted)
                    try await begun.end()
                }
                listener.close()
            }
        }

        @Test func `a cancellation that races the connecting leaves no connection behind`() async throws {
            let rounds = isSanitized ? 50 : 300
            var generator = SeededGenerator(state: testSeed())
            try await withProactor(.testing()) { aio in
                let server = try await aio.listen(on: "127.0.0.1:0")
                async let report = server.serve { connection in
                    _ = await outcome { try await connection.read() }
                }
                for _ in 0..<rounds {
                    let endpoint = server.endpoint
                    let session = Task.detached {
                        try await aio.connect(to: endpoint) { connection in _ = try await connection.read() }
                    }
                    for _ in 0..<Int.random(in: 0..<20, using: &generator) { await Task.yield() }
                    session.cancel()
                    #expect(await outcome { try await session.value }.isCancellation)
                }
                server.drain(within: .seconds(5))
                #expect(try await report.cut == 0)
            }
        }

        /// Some time that the optimiser leaves alone.
        @inline(never) private func spinOnce() {}
    }
}
