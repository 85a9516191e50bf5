// Sends from several threads at once. Outcomes, marks, caps and half-close are tested in simulation.

import AIO
import Testing

extension Loopback {
    @Suite struct SendTests {
        @Test func `the parts of a send stay together, whoever else is sending`() async throws {
            let rounds = isSanitized ? 500 : 5_000
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair(
                    clientLimits: .testing { $0.outboundByteCountMax = 1 << 30 })
                let client = pair.client
                async let first: Void = Task.detached {
                    for _ in 0..<rounds { client.send(["a", "b"]) }
                }.value
                async let second: Void = Task.detached {
                    for _ in 0..<rounds { client.send(["c", "", "d"]) }
                }.value
                var text: [UInt8] = []
                try await aio.run { event in
                    if case .received(let bytes, pair.server) = event { text += bytes }
                    return text.count == 4 * rounds
                }
                _ = await (first, second)
                var counts: [String: Int] = [:]
                for start in stride(from: 0, to: text.count, by: 2) {
                    counts[String(decoding: text[start..<start + 2], as: UTF8.self), default: 0] += 1
                }
                #expect(counts == ["ab": rounds, "cd": rounds])
            }
        }

        @Test func `sends of one task arrive in their order from whatever thread they come`() async throws {
            let count = isSanitized ? 2_000 : 20_000
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair(clientLimits: .testing { $0.outboundByteCountMax = 1 << 30 })
                let client = pair.client
                async let sending: Void = Task.detached {
                    for index in 0..<count { client.send(Pattern.bytes(at: index * 10, count: 10)) }
                }.value
                var position = 0
                try await aio.run { event in
                    if case .received(let bytes, pair.server) = event {
                        #expect(Pattern.matches(bytes, at: position))
                        position += bytes.count
                    }
                    return position >= count * 10
                }
                #expect(position == count * 10)
                await sending
            }
        }
    }
}
