// Two proactors that flood each other: back-pressure on both sides at once, and neither waits for the other for ever.

import AIO
import AIOKernel
import AIOTesting
import Testing

@Suite struct FloodTests {
    private static func tight(_ configuration: inout Proactor.Configuration) {
        configuration.connection.receiveWindow = 16_384
        configuration.connection.highWaterMark = 16_384
        configuration.connection.lowWaterMark = 8_192
    }

    /// Connects a proactor on the host "far" (a Unix socket's is on the same host) with the program's, and runs `body` for
    /// each end.
    private func withTwo(
        over road: Road,
        _ body: @escaping @Sendable (Proactor, Connection, _ other: Proactor) async throws -> Void
    ) async throws {
        try await withProgram(within: .seconds(30), configure: Self.tight) { world, first in
            let listener = try await first.events.listen(on: road.endpoint)
            let target: Endpoint =
                road == .tcp ? .ip(world.host("program").address, port: 80) : listener.endpoint
            try await road.farHost(of: world).withProactor(configure: Self.tight) { second in
                let client = try second.events.connect(to: target)
                let server = try await first.nextAccepted()
                try await second.run { if case .connected(client) = $0 { true } else { false } }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await body(first, server, second) }
                    group.addTask { try await body(second, client, first) }
                    try await group.waitForAll()
                }
            }
        }
    }

    /// Sends `total` bytes as fast as marks allow, takes as many, and returns when both are done.
    private static func flood(_ aio: Proactor, _ connection: Connection, total: Int) async throws {
        var sent = 0
        var received = 0
        func sendSome() {
            while sent < total {
                let count = min(12_000, total - sent)
                let outcome = connection.send(Tape.bytes(at: sent, count: count))
                sent += count
                guard case .queued = outcome else {
                    if case .refused = outcome { Issue.record("\(outcome)") }
                    return
                }
            }
        }
        sendSome()
        try await aio.run { event in
            switch event {
            case .received(let bytes, connection):
                #expect(Tape.matches(bytes, at: received))
                received += bytes.count
            case .drained(connection): sendSome()
            case .closed: Issue.record("\(event)")
            default: break
            }
            return received == total && sent == total
        }
        // The other side may have to take the rest.
        try await connection.flush()
    }

    @Test(.simulated(seeds: 0..<25), arguments: Road.allCases)
    func `two proactors that flood each other both finish`(_ road: Road) async throws {
        try await withTwo(over: road) { aio, connection, _ in
            try await Self.flood(aio, connection, total: 300_000)
        }
    }

    /// Sends as fast as marks allow and answers whatever comes. Tells the `other` when `total` bytes have come, and returns
    /// when it has been told the same: who stopped before would leave the other waiting.
    private static func floodAndAnswer(
        _ aio: Proactor, _ connection: Connection, other: Proactor, total: Int
    ) async throws {
        var received = 0
        var isDone = false
        var otherIsDone = false
        func sendSome() { while case .queued = connection.send(Tape.bytes(count: 12_000)) {} }
        sendSome()
        try await aio.run { event in
            switch event {
            case .received(let bytes, connection):
                received += bytes.count
                connection.send("ack")
            case .drained(connection): sendSome()
            case .posted: otherIsDone = true
            case .closed: Issue.record("\(event)")
            default: break
            }
            if received >= total, !isDone {
                isDone = true
                try other.events.post("done")
            }
            return isDone && otherIsDone
        }
    }

    @Test(.simulated(seeds: 0..<25), arguments: Road.allCases)
    func `two proactors that flood each other and answer what they receive do not stop each other`(
        _ road: Road
    )
        async throws
    {
        try await withTwo(over: road) { aio, connection, other in
            try await Self.floodAndAnswer(aio, connection, other: other, total: 200_000)
        }
    }
}
