// Time limits on blocks of code, with real timers on real threads. Who wins and what the loser sees is tested in simulation.

import AIO
import Testing

extension Loopback {
    @Suite struct TimeoutTests {
        @Test(arguments: HandlerExecutor.all)
        func `a read that races the limit ends in one way, and every byte is read once`(
            _ executor: HandlerExecutor
        ) async throws {
            let rounds = isSanitized ? 100 : 300
            var generator = SeededGenerator(state: testSeed())
            let limits = (0..<rounds).map { _ in Int.random(in: 0..<400, using: &generator) }
            let (read, timedOut) = try await serving(.testing(executor)) { connection in
                var position = 0
                var timedOut = 0
                for limit in limits {
                    try await connection.write(".")
                    let result = await outcome {
                        try await connection.withTimeout(.microseconds(limit)) { try await connection.read() }
                    }
                    switch result {
                    case .success(let bytes):
                        let bytes = try #require(bytes)
                        #expect(Pattern.matches(bytes, at: position))
                        position += bytes.count
                    case .failure:
                        #expect(result.code == .timedOut)
                        timedOut += 1
                    }
                }
                connection.finish()
                while let bytes = try await connection.read() {
                    #expect(Pattern.matches(bytes, at: position))
                    position += bytes.count
                }
                return (position, timedOut)
            } peer: { peer, _ in
                try await onThread {
                    for round in 0..<rounds {
                        _ = try peer.receive(1)
                        try peer.send(Array(Pattern.bytes(at: round * 3, count: 3)))
                    }
                    _ = try peer.receiveToEnd()
                    peer.finish()
                }
            }
            #expect(read == rounds * 3)
            #expect(timedOut < rounds)
        }
    }
}
