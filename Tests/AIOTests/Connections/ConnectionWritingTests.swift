// Straight-line writes from several threads at once, and large ones to real sockets. When writes wait, for how long and what
// ends them is tested in simulation.

import AIO
import Testing

extension Loopback {
    @Suite struct ConnectionWritingTests {
        @Test func `a write on the worker does not overtake what another thread sent before`() async throws {
            try await serving { connection in
                // The worker is held by this handler, so what the other thread leaves for it stays where it is.
                try holdingThisThread { connection.send("first, ") }
                try await connection.write("second")
                try holdingThisThread { connection.send(", third") }
                try await connection.write(["", ", fourth"])
            } peer: { peer, _ in
                let bytes = try await onThread { try peer.receiveToEnd() }
                #expect(String(decoding: bytes, as: UTF8.self) == "first, second, third, fourth")
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `the parts of a write stay together, whoever else writes`(_ executor: HandlerExecutor)
            async throws
        {
            let writers = 4
            let rounds = isSanitized ? 200 : 1_000
            try await serving(
                .testing(executor) {
                    $0.highWaterMark = 2_000; $0.lowWaterMark = 500
                }
            ) {
                connection in
                try await withThrowingTaskGroup { group in
                    for writer in 0..<writers {
                        group.addTask {
                            for round in 0..<rounds {
                                let body = Bytes([UInt8](repeating: UInt8(writer), count: round % 200))
                                try await connection.write([
                                    Bytes([UInt8(writer), UInt8(round % 251), UInt8(body.count)]), body, "\n",
                                ])
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            } peer: { peer, _ in
                let bytes = try await onThread { try peer.receiveToEnd() }
                var next = [Int](repeating: 0, count: writers)
                var position = 0
                while position < bytes.count {
                    let writer = Int(bytes[position])
                    let round = next[writer]
                    try #require(bytes[position + 1] == UInt8(round % 251), "out of order")
                    let end = position + 3 + Int(bytes[position + 2])
                    try #require(
                        bytes[position + 3..<end].allSatisfy { $0 == UInt8(writer) } && bytes[end] == 10)
                    next[writer] += 1
                    position = end + 1
                }
                #expect(next == [Int](repeating: rounds, count: writers))
            }
        }

        @Test func `one write may be much larger than the marks`() async throws {
            let parts = isSanitized ? 2 : 16
            try await serving { connection in
                let large = Bytes(joining: (0..<parts).map { Pattern.bytes(at: $0 << 20, count: 1 << 20) })
                try await connection.write(large)
                try await connection.flush()
                #expect(connection.pendingByteCount == 0)
            } peer: { peer, _ async throws in
                #expect(try await peer.receivePattern() == parts << 20)
            }
        }
    }
}
