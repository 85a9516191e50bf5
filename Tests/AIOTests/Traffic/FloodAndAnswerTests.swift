// Two proactors that flood each other and answer what they receive: what could make both wait for each other
// for ever.

import AIO
import Testing

extension Loopback {
    @Suite struct FloodAndAnswerTests {
        /// Sends as fast as marks allow and answers whatever comes. Tells the `peer` when `total` bytes have
        /// come, and returns when it has been told the same: who stopped before would leave the peer waiting.
        private static func floodAndAnswer(
            _ aio: Proactor, _ connection: Connection, peer: Proactor, total: Int
        ) async throws {
            var received = 0
            var isDone = false
            var isPeerDone = false
            func sendSome() { while case .queued = connection.send(Pattern.bytes(at: 0, count: 48 << 10)) {} }
            sendSome()
            for await event in aio.events {
                switch event {
                case .received(let bytes, connection):
                    received += bytes.count
                    connection.send("ack")
                case .drained(connection): sendSome()
                case .posted: isPeerDone = true
                case .closed: Issue.record("\(event)")
                default: break
                }
                if received >= total, !isDone {
                    isDone = true
                    try peer.events.post("done")
                }
                if isDone, isPeerDone { return }
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
                    async let ofSecond: Void = Self.floodAndAnswer(
                        second, client, peer: first, total: total)
                    try await Self.floodAndAnswer(first, server, peer: second, total: total)
                    try await ofSecond
                    #expect(first.statistics.total.bytesReceived >= UInt64(total))
                    #expect(second.statistics.total.bytesReceived >= UInt64(total))
                }
            }
        }
    }
}
