// Straight-line reads at full speed over real sockets. What each kind of read does is tested in simulation
// (Tests/AIOSimulatedTests/Connections).

import AIO
import Testing

extension Loopback {
    @Suite struct ConnectionReadingTests {
        @Test(arguments: HandlerExecutor.all)
        func `chunks brings every byte in order, and ends with the peer's end`(_ executor: HandlerExecutor)
            async throws
        {
            let total = isSanitized ? 1 << 20 : 8 << 20
            let count = try await serving(.testing(executor)) { connection in
                var position = 0
                for try await chunk in connection.chunks {
                    guard !chunk.isEmpty, Pattern.matches(chunk, at: position) else {
                        throw PatternBroken(position: position)
                    }
                    position += chunk.count
                }
                #expect(try await connection.read() == nil, "the end stays the end")
                return position
            } peer: { peer, _ in
                try await peer.sendPattern(total)
                peer.finish()
            }
            #expect(count == total)
        }

        @Test func `one task reads while another writes`() async throws {
            let total = isSanitized ? 2 << 20 : 16 << 20
            let count = try await serving { connection in
                async let read = {
                    var position = 0
                    for try await chunk in connection.chunks {
                        guard Pattern.matches(chunk, at: position) else {
                            throw PatternBroken(position: position)
                        }
                        position += chunk.count
                    }
                    return position
                }()
                for position in stride(from: 0, to: total, by: 1 << 16) {
                    try await connection.write(Pattern.bytes(at: position, count: 1 << 16))
                }
                connection.finish()
                return try await read
            } peer: { peer, _ in
                async let received = peer.receivePattern()
                try await peer.sendPattern(total)
                peer.finish()
                #expect(try await received == total)
            }
            #expect(count == total)
        }
    }
}
