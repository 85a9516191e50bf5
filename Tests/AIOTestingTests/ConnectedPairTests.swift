// Both ends of one connection.

import AIO
import AIOKernel
import AIOTesting
import Testing

@Suite struct ConnectedPairTests {
    @Test(.simulated(seeds: 0..<40))
    func `what one end writes the other reads, both ways, and both ends end`()
        async throws
    {
        try await withConnectedPair { client, server in
            try await client.write("hello")
            let heard = try await server.read(exactly: 5)
            #expect(heard == "hello")
            try await server.write("and goodbye")
            server.finish()
            let answer = try await client.readAll(atMost: 100)
            #expect(answer == "and goodbye")
            client.finish()
            let end = try await server.read()
            #expect(end == nil)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `more than the windows hold passes, in order`() async throws {
        let byteCount = 300_000
        try await withConnectedPair { client, server in
            async let received = server.readAll(atMost: byteCount)
            var sent = 0
            while sent < byteCount {
                let block = [UInt8]((sent..<sent + 3_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
                try await client.write(Bytes(block))
                sent += block.count
            }
            client.finish()
            let bytes = try await received
            #expect(bytes.count == byteCount)
            #expect(bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0 &* 31) })
        }
    }

    @Test func `what the body throws is thrown, and nothing hangs`() async throws {
        struct Its: Error {}
        await #expect(throws: Its.self) { try await withConnectedPair { _, _ in throw Its() } }
    }
}
