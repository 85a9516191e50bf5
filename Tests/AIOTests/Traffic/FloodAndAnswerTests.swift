// Two proactors that flood each other and answer what they receive: what could make both wait for each other
// for ever.

import AIO
import Testing

extension Loopback {
    @Suite struct FloodAndAnswerTests {
        /// Sends as fast as marks allow, answers whatever comes, and returns when `total` bytes have come.
        private static func floodAndAnswer(_ aio: Proactor, _ connection: Connection, total: Int) async {
            var received = 0
            func sendSome() { while case .queued = connection.send(Pattern.bytes(at: 0, count: 48 << 10)) {} }
            sendSome()
            for await event in aio.events {
                switch event {
                case .received(let bytes, connection):
                    received += bytes.count
                    connection.send("ack")
                case .drained(connection): sendSome()
                case .closed: Issue.record("\(event)")
                default: break
                }
                if received >= total { return }
            }
        }

        @Test func `two proactors that flood each other and answer what they receive do not stop each other`()
            async throws
        {
            let total = isSanitized ? 2 << 20 : 8 << 20
            try await withProactor(.testing()) { first in
                try await withProactor(.testing()) { second in
                    let listener = try await first.events.listen(on: "127.0.0.1:0")
                    let client = try second.events.connect(to: listener.endpoint)
                    let server = try await first.nextAccepted()
                    try await second.run { if case .connected(client) = $0 { true } else { false } }
                    await withTaskGroup(of: Void.self) { group in
                        group.addTask { await Self.floodAndAnswer(first, server, total: total) }
                        group.addTask { await Self.floodAndAnswer(second, client, total: total) }
                        await group.waitForAll()
                    }
                    #expect(first.statistics.total.bytesReceived >= UInt64(total))
                    #expect(second.statistics.total.bytesReceived >= UInt64(total))
                }
            }
        }
    }
}
