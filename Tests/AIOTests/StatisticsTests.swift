// The numbers add up, over real sockets. The rest is in Tests/AIOSimulatedTests/StatisticsTests.swift.

import AIO
import Testing

extension Loopback {
    @Suite struct StatisticsTests {
        @Test func `every byte sent is received when both ends are in one proactor`() async throws {
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair()
                pair.client.send(Pattern.bytes(at: 0, count: 500_000))
                pair.client.close()
                _ = try await aio.closeReason(of: pair.server)
                #expect(aio.statistics.total.bytesSent == 500_000)
                #expect(aio.statistics.total.bytesReceived == 500_000)
            }
        }
    }
}
