// Hundreds of connections that send, pause, half-close and reset at random, and an account of every byte.

import AIO
import Testing

extension Loopback {
    @Suite struct RandomTrafficTests {
        /// How a connection's two ends part.
        private enum Ending: CaseIterable {
            /// Both send all they have and then end their side.
            case bothFinish
            /// The client sends all it has and closes; the server may not get rid of its own.
            case clientCloses
            /// One of the two resets in the middle.
            case clientAborts, serverAborts
        }

        /// One end of a connection: what it sends, what it has received, and how it ends.
        private final class End {
            let connection: Connection
            let outboundStart: Int
            let inboundStart: Int
            let total: Int
            let ending: Ending
            var sent = 0
            var received = 0
            var isBlocked = false
            var hasEnded = false
            var closeCount = 0

            /// `port` is the client's, which both ends know: it names the streams' positions, sizes and
            /// ending.
            init(_ connection: Connection, port: Int, seed: UInt64) {
                self.connection = connection
                var generator = SeededGenerator(state: seed &+ UInt64(port))
                ending = Ending.allCases.randomElement(using: &generator)!
                let totals = [End.size(&generator), End.size(&generator)]
                total = totals[connection.isAccepted ? 1 : 0]
                outboundStart = port * (connection.isAccepted ? 7_919 : 104_729)
                inboundStart = port * (connection.isAccepted ? 104_729 : 7_919)
            }

            /// Half of the streams are short, some empty, some a megabyte.
            private static func size(_ generator: inout SeededGenerator) -> Int {
                let bound = [0, 1, 100, 5_000, 100_000, 400_000, isSanitized ? 100_000 : 1 << 20]
                return Int.random(in: 0...bound.randomElement(using: &generator)!, using: &generator)
            }

            private var cutsItself: Bool { ending == (connection.isAccepted ? .serverAborts : .clientAborts) }

            /// Sends until it is blocked, pauses of its own accord, or is done. True if it pauses.
            func pump(_ generator: inout SeededGenerator) -> Bool {
                while !isBlocked, !hasEnded {
                    if cutsItself, sent >= total / 2 {
                        connection.abort()
                        hasEnded = true
                    } else if sent == total {
                        if ending == .clientCloses, !connection.isAccepted {
                            connection.close()
                        } else {
                            connection.finish()
                        }
                        hasEnded = true
                    } else if Int.random(in: 0..<8, using: &generator) == 0 {
                        return true
                    } else {
                        sendSome(&generator)
                    }
                }
                return false
            }

            private func sendSome(_ generator: inout SeededGenerator) {
                let bound = [1, 10, 1_000, 30_000, 200_000].randomElement(using: &generator)!
                let count = min(total - sent, Int.random(in: 0...bound, using: &generator))
                let bytes = Pattern.bytes(at: outboundStart + sent, count: count)
                let half = bytes.startIndex + count / 2
                switch connection.send([bytes[..<half], bytes[half...]]) {
                case .queued: sent += count
                case .aboveMark:
                    sent += count
                    isBlocked = true
                case .refused(let refusal):
                    // Cut from the other side: closed is on its way.
                    #expect(refusal == .closed)
                    hasEnded = true
                }
            }

            func receive(_ bytes: Bytes) {
                #expect(closeCount == 0)
                #expect(Pattern.matches(bytes, at: inboundStart + received))
                received += bytes.count
            }
        }

        @Test(arguments: ["127.0.0.1:0", "unix:@aio-tests-random"])
        func `every byte arrives and every connection closes once, over`(_ text: String) async throws {
            let seed = testSeed()
            print("AIO_TEST_SEED=\(seed)")
            let isUnix = text.hasPrefix("unix")
            let count = isSanitized ? 60 : 300
            let limits = ConnectionLimits.testing { $0.keepsHalfOpen = true }
            try await withProactor(.testing { $0.connection = limits }) { aio in
                let listener = try await aio.events.listen(on: text)
                var ends: [Connection: End] = [:]
                var paused: [End] = []
                var generator = SeededGenerator(state: seed)
                var started = 0
                var closed = 0
                var unmade = 0
                // Unix clients have no names: they are served one setting, and checked the same.
                func port(_ connection: Connection) throws -> Int {
                    if isUnix { return 1 }
                    let client = connection.isAccepted ? connection.peer : try #require(connection.local)
                    return Int(try #require(client.port))
                }
                func goOn(_ end: End) { if end.pump(&generator) { paused.append(end) } }
                func begin(_ connection: Connection) throws {
                    let end = End(connection, port: try port(connection), seed: seed)
                    #expect(ends.updateValue(end, forKey: connection) == nil)
                    goOn(end)
                }
                try aio.events.schedule(after: .zero, tag: 1)
                try await aio.run { event in
                    while started < count, started - closed / 2 < 50 {
                        _ = try aio.events.connect(to: listener.endpoint)
                        started += 1
                    }
                    switch event {
                    case .accepted(let connection), .connected(let connection): try begin(connection)
                    case .received(let bytes, let connection): try #require(ends[connection]).receive(bytes)
                    case .drained(let connection):
                        let end = try #require(ends[connection])
                        end.isBlocked = false
                        goOn(end)
                    case .closed(let connection, let reason):
                        closed += 1
                        if case .connectFailed(let error) = reason {
                            // Reset before the worker saw that it is made.
                            #expect(error.code == .connectionReset)
                            unmade += 1
                        } else {
                            try #require(ends[connection]).closeCount += 1
                        }
                    case .timer:
                        // Whoever paused goes on, in another order.
                        let resumed = paused.shuffled(using: &generator)
                        paused = []
                        for end in resumed { goOn(end) }
                        try aio.events.schedule(after: .milliseconds(1), tag: 1)
                    default: break
                    }
                    return closed == 2 * count
                }
                #expect(ends.count == 2 * count - unmade)
                try account(for: ends, port, isUnix: isUnix)
                #expect(aio.statistics.connections == 0)
                #expect(aio.statistics.total.openConnections == 0)
            }
        }

        private func account(
            for ends: [Connection: End], _ port: (Connection) throws -> Int, isUnix: Bool
        ) throws {
            #expect(ends.values.allSatisfy { $0.closeCount == 1 })
            var exact = 0
            var servers: [Int: End] = [:]
            for (connection, end) in ends where connection.isAccepted { servers[try port(connection)] = end }
            for (connection, client) in ends where !connection.isAccepted {
                let server = try #require(servers[try port(connection)])
                // (All Unix connections are alike, so any of them will do, unless they were cut.)
                #expect(isUnix || server.received <= client.sent && client.received <= server.sent)
                switch client.ending {
                case .bothFinish:
                    exact += 1
                    #expect(client.sent == client.total && server.received == client.total)
                    #expect(server.sent == server.total && client.received == server.total)
                case .clientCloses:
                    #expect(client.sent == client.total && server.received == client.total)
                case .clientAborts, .serverAborts: break
                }
            }
            if !isUnix { #expect(exact > 0) }
        }
    }
}
