// Two proactors that flood each other: back-pressure on both sides at once, and neither waits for the other
// for ever.

import AIO
import Testing

extension Loopback {
    @Suite struct FloodTests {
        /// Sends `total` bytes on `connection` as fast as marks allow, takes as many, and returns when both
        /// are done.
        private static func flood(_ aio: Proactor, _ connection: Connection, total: Int) async throws {
            var sent = 0
            var received = 0
            func sendSome() {
                while sent < total {
                    let count = min(48 << 10, total - sent)
                    let outcome = connection.send(Pattern.bytes(at: sent, count: count))
                    sent += count
                    guard case .queued = outcome else {
                        if case .refused = outcome { Issue.record("\(outcome)") }
                        return
                    }
                }
            }
            sendSome()
            for await event in aio.events {
                switch event {
                case .received(let bytes, connection):
                    #expect(Pattern.matches(bytes, at: received))
                    received += bytes.count
                case .drained(connection): sendSome()
                case .closed: Issue.record("\(event)")
                default: break
                }
                if received == total, sent == total { break }
            }
            // The other side may have to take the rest.
            try await connection.flush()
        }

        @Test(arguments: ["127.0.0.1:0", "unix:@aio-tests-flood"])
        func `two proactors that flood each other both finish, over`(_ text: String) async throws {
            let total = isSanitized ? 4 << 20 : 16 << 20
            try await withProactor(.testing()) { first in
                try await withProactor(.testing()) { second in
                    let listener = try await first.events.listen(on: text)
                    let client = try second.events.connect(to: listener.endpoint)
                    let server = try await first.nextAccepted()
                    try await second.run { if case .connected(client) = $0 { true } else { false } }
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { try await Self.flood(first, server, total: total) }
                        group.addTask { try await Self.flood(second, client, total: total) }
                        try await group.waitForAll()
                    }
                    #expect(first.statistics.total.bytesReceived == UInt64(total))
                    #expect(second.statistics.total.bytesReceived == UInt64(total))
                }
            }
        }
    }
}
