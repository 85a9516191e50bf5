// Connections that send, pause, half-close and reset at random, both ends in one event stream, and an account of every byte.

import AIO
import AIOKernel
import AIOTesting
import Testing

@Suite struct RandomTrafficTests {
    /// How the two ends part: both send all they have and then end their side; the client closes when it has sent all; one of
    /// them resets half-way.
    private enum Ending: CaseIterable { case bothFinish, clientCloses, clientAborts, serverAborts }

    /// Chance that follows from a number (xorshift64*, Vigna 2016).
    private struct Dice: RandomNumberGenerator {
        private var state: UInt64

        init(_ seed: UInt64) { state = (seed &+ 1) &* 0x9e37_79b9_7f4a_7c15 | 1 }

        mutating func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_f491_4f6c_dd1d
        }
    }

    /// One end of a connection: what it sends, what it has received, and how it ends.
    private final class End {
        let connection: Connection
        let ending: Ending
        let total: Int
        private let isClient: Bool
        private let start: Int
        private let otherStart: Int
        private(set) var sent = 0
        private(set) var received = 0
        private(set) var hasEnded = false
        var isBlocked = false
        var closeCount = 0

        /// `port` is the client's, which both ends know: it names the streams' positions, sizes and ending.
        init(_ connection: Connection, port: Int, seed: UInt64) {
            self.connection = connection
            isClient = !connection.isAccepted
            var dice = Dice(seed &* 65_536 &+ UInt64(port))
            ending = Ending.allCases.randomElement(using: &dice)!
            let bounds = [0, 1, 100, 5_000, 60_000]
            let totals = (0..<2).map { _ in
                Int.random(in: 0...bounds.randomElement(using: &dice)!, using: &dice)
            }
            total = totals[isClient ? 0 : 1]
            start = port * (isClient ? 7 : 13)
            otherStart = port * (isClient ? 13 : 7)
        }

        private var cutsItself: Bool { ending == (isClient ? .clientAborts : .serverAborts) }

        /// Sends until it is blocked, or is done; or pauses of its own accord, and is called again. True for that.
        func goOn(_ dice: inout Dice) -> Bool {
            while !isBlocked, !hasEnded {
                if cutsItself, sent >= total / 2 {
                    connection.abort()
                    hasEnded = true
                } else if sent == total {
                    if ending == .clientCloses, isClient { connection.close() } else { connection.finish() }
                    hasEnded = true
                } else if Int.random(in: 0..<6, using: &dice) == 0 {
                    return true
                } else {
                    sendSome(&dice)
                }
            }
            return false
        }

        private func sendSome(_ dice: inout Dice) {
            let most = min(total - sent, [1, 10, 1_000, 20_000].randomElement(using: &dice)!)
            let bytes = Tape.bytes(at: start + sent, count: Int.random(in: 0...most, using: &dice))
            switch connection.send([bytes.prefix(bytes.count / 2), bytes.dropFirst(bytes.count / 2)]) {
            case .queued: sent += bytes.count
            case .aboveMark:
                sent += bytes.count
                isBlocked = true
            case .refused(let refusal):
                // Cut from the other side: closed is on its way.
                #expect(refusal == .closed)
                hasEnded = true
            }
        }

        func receive(_ bytes: Bytes) {
            #expect(closeCount == 0)
            #expect(Tape.matches(bytes, at: otherStart + received))
            received += bytes.count
        }
    }

    private static func limits(_ configuration: inout Proactor.Configuration) {
        configuration.workerCount = 2
        configuration.connection.keepsHalfOpen = true
        configuration.connection.receiveWindow = 16_384
        configuration.connection.highWaterMark = 16_384
        configuration.connection.lowWaterMark = 8_192
    }

    @Test(.simulated(seeds: 0..<60)) func `every byte arrives and every connection closes once`() async throws
    {
        let count = 8
        try await withProgram(within: .seconds(30), configure: Self.limits) { world, aio in
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            var dice = Dice(world.seed)
            var ends: [Connection: End] = [:]
            var paused: [End] = []
            var closed = 0
            var unmade = 0
            func goOn(_ end: End) { if end.goOn(&dice) { paused.append(end) } }
            for _ in 0..<count { _ = try aio.events.connect(to: listener.endpoint) }
            try aio.events.schedule(after: .zero, tag: 1)
            try await aio.run { event in
                switch event {
                case .accepted(let connection), .connected(let connection):
                    let client = connection.isAccepted ? connection.peer : try #require(connection.local)
                    let end = End(connection, port: Int(try #require(client.port)), seed: world.seed)
                    #expect(ends.updateValue(end, forKey: connection) == nil)
                    goOn(end)
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
                    let resumed = paused.shuffled(using: &dice)
                    paused = []
                    for end in resumed { goOn(end) }
                    try aio.events.schedule(after: .milliseconds(1), tag: 1)
                default: break
                }
                return closed == 2 * count
            }
            #expect(ends.count == 2 * count - unmade && ends.values.allSatisfy { $0.closeCount == 1 })
            try account(for: Array(ends.values))
            #expect(aio.statistics.connections == 0 && aio.statistics.total.openConnections == 0)
        }
    }

    /// What the two ends of each connection say of each other.
    private func account(for ends: [End]) throws {
        func port(_ end: End) -> UInt16? {
            end.connection.isAccepted ? end.connection.peer.port : end.connection.local?.port
        }
        for client in ends where !client.connection.isAccepted {
            let server = try #require(ends.first { $0.connection.isAccepted && port($0) == port(client) })
            #expect(server.received <= client.sent && client.received <= server.sent)
            switch client.ending {
            case .bothFinish:
                #expect(client.sent == client.total && server.received == client.total)
                #expect(server.sent == server.total && client.received == server.total)
            case .clientCloses: #expect(client.sent == client.total && server.received == client.total)
            case .clientAborts, .serverAborts: break
            }
        }
    }
}
