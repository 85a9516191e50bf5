// Cancelled reads, writes and flushes, from every kind of task: what was cancelled has one outcome, and no byte is lost or
// doubled by it.

import AIO
import AIOTesting
import Testing

@Suite struct CancellationTests {
    enum Read: String, CaseIterable, Sendable {
        case read, exactly, all, peek

        func callAsFunction(_ connection: Connection) async throws -> Bytes? {
            switch self {
            case .read: try await connection.read()
            case .exactly: try await connection.read(exactly: 4)
            case .all: try await connection.readAll(atMost: 1_000)
            case .peek: try await connection.peek(atLeast: 4)
            }
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: Surroundings.allCases, Read.allCases)
    func `a read that waits is cancelled, and what comes afterwards is read by another task`(
        _ surroundings: Surroundings, _ read: Read
    ) async throws {
        try await withProgram { world, aio in
            let listener = try world.host("far").listen(on: "*:81")
            let begun = try await surroundings.begin(world, aio, listener) { try await read($0) }
            if read != .read { try await begun.peer.send("ab") }
            await world.settle()
            #expect(begun.connection.readIsWaiting)
            begun.cancel()
            await world.settle()
            #expect(begun.result.kept?.isCancellation == true)
            #expect(!begun.connection.readIsWaiting)
            try await begun.peer.send("cd")
            let expected: Bytes = read == .read ? "cd" : "abcd"
            #expect(try await begun.connection.read(exactly: expected.count) == expected)
            try await begun.end()
        }
    }

    // MARK: Races

    /// How often a race went the one way and the other.
    private struct Tally {
        var cancelled = 0
        var done = 0
    }

    /// Both, in an order that the schedule draws; the cancellation after some turns of its task, as the other needs some
    /// steps to take effect.
    private func race(
        _ cancel: @Sendable () -> Void, after turns: Int, _ other: @Sendable () async -> Void
    ) async {
        async let cancelled: Void = {
            for _ in 0..<turns { await Task.yield() }
            cancel()
        }()
        async let done: Void = other()
        _ = await (cancelled, done)
    }

    private func raceReads(_ surroundings: Surroundings) async throws -> Tally {
        var tally = Tally()
        try await withProgram { world, aio in
            let listener = try world.host("far").listen(on: "*:81")
            for round in 0..<4 {
                let read: Read = round % 2 == 0 ? .read : .exactly
                let begun = try await surroundings.begin(world, aio, listener) { try await read($0) }
                if round < 2 { await world.settle() }
                await race(begun.cancel, after: Int(world.seed % 5) * 4) {
                    try? await begun.peer.send("1234")
                }
                let result = try await begun.result.value()
                if case .success(let bytes) = result {
                    #expect(bytes == "1234")
                    tally.done += 1
                } else {
                    #expect(result.isCancellation)
                    tally.cancelled += 1
                    #expect(try await begun.connection.read(exactly: 4) == "1234")
                }
                // Nothing of it is left: the next bytes are the next ones.
                try await begun.peer.send("next")
                #expect(try await begun.connection.read(exactly: 4) == "next")
                try await begun.end()
            }
        }
        return tally
    }

    @Test(.simulated(seeds: 0..<40), arguments: Surroundings.allCases)
    func `a read whose cancellation races its bytes has one outcome, and every byte is read once`(
        _ surroundings: Surroundings
    ) async throws {
        _ = try await raceReads(surroundings)
    }

    private static let narrow = ConnectionLimits.with {
        $0.highWaterMark = 8_192
        $0.lowWaterMark = 4_096
    }

    /// Writes until a write throws, or for long enough; how many bytes were accepted before, and whether it threw.
    private static func writeOn(_ connection: Connection) async throws -> (written: Int, threw: Bool) {
        var written = 0
        do {
            while written < 3 * kernelByteCount {
                let bytes = Tape.bytes(at: written, count: 3_000 + written % 977)
                if written % 2 == 0 {
                    try await connection.write(bytes)
                } else {
                    try await connection.write([bytes.prefix(1_000), bytes.dropFirst(1_000)])
                }
                written += bytes.count
                // One that need not wait is accepted from a cancelled task too, and this is not about those.
                if Task.isCancelled { break }
            }
            return (written, false)
        } catch is CancellationError {
            return (written, true)
        }
    }

    @Test(.simulated(seeds: 0..<15), arguments: Surroundings.allCases, Road.allCases)
    func `of a write that waits and is cancelled nothing arrives`(
        _ surroundings: Surroundings, _ road: Road
    ) async throws {
        try await withProgram { world, aio in
            let listener = try road.farHost(of: world).listen(on: road.farEndpoint)
            let begun = try await surroundings.begin(world, aio, listener, limits: Self.narrow) {
                try await Self.writeOn($0)
            }
            begun.peer.stall()
            await world.settle()
            // It waits, and the kernel takes no more.
            #expect(begun.connection.waiterCount == 1 && begun.connection.pendingByteCount > 4_096)
            begun.cancel()
            let (accepted, threw) = try await begun.result.value().get()
            #expect(threw && begun.connection.waiterCount == 0)
            begun.connection.finish()
            begun.peer.resume()
            #expect(try await begun.peer.receiveTape() == accepted)
            try await begun.end()
        }
    }

    private func raceWrites(_ surroundings: Surroundings, _ road: Road) async throws -> Tally {
        var tally = Tally()
        try await withProgram { world, aio in
            let listener = try road.farHost(of: world).listen(on: road.farEndpoint)
            let begun = try await surroundings.begin(world, aio, listener, limits: Self.narrow) {
                try await Self.writeOn($0)
            }
            begun.peer.stall()
            await world.settle()
            #expect(begun.connection.waiterCount == 1)
            await race(begun.cancel, after: Int(world.seed % 5) * 20) { begun.peer.resume() }
            let (accepted, threw) = try await begun.result.value().get()
            if threw { tally.cancelled += 1 } else { tally.done += 1 }
            begun.connection.finish()
            #expect(try await begun.peer.receiveTape() == accepted)
            try await begun.end()
        }
        return tally
    }

    @Test(.simulated(seeds: 0..<30), arguments: Surroundings.allCases, Road.allCases)
    func `a write whose cancellation races the room for it is accepted whole or not at all`(
        _ surroundings: Surroundings, _ road: Road
    ) async throws {
        _ = try await raceWrites(surroundings, road)
    }

    @Test func `of the seeds some have the cancellation first in each race, and some what it races`()
        async throws
    {
        for surroundings in [Surroundings.ownerOnWorker, .otherOnPartner, .detached] {
            var reads = Tally(), writes = Tally()
            for seed in 0..<20 as Range<UInt64> {
                try await Simulation(seed: seed).run { _ in
                    let read = try await raceReads(surroundings)
                    reads.cancelled += read.cancelled
                    reads.done += read.done
                }
                try await Simulation(seed: seed).run { _ in
                    let written = try await raceWrites(surroundings, .tcp)
                    writes.cancelled += written.cancelled
                    writes.done += written.done
                }
            }
            #expect(reads.cancelled > 2 && reads.done > 2, "\(surroundings): \(reads)")
            #expect(writes.cancelled > 1 && writes.done > 1, "\(surroundings): \(writes)")
        }
    }

    // MARK: Others

    @Test(.simulated(seeds: 0..<15), arguments: Surroundings.allCases, Road.allCases)
    func `a flush that waits is cancelled, and the sending goes on`(
        _ surroundings: Surroundings, _ road: Road
    ) async throws {
        try await withProgram { world, aio in
            let listener = try road.farHost(of: world).listen(on: road.farEndpoint)
            let mayBegin = Promise<Void>()
            let written = Promise<Int>()
            let begun = try await surroundings.begin(
                world, aio, listener, limits: Self.narrow, mayBegin: mayBegin
            ) { connection in
                written.put(try await connection.writeUntilAboveMark(blockByteCount: 4_096, in: world))
                try await connection.flush()
            }
            begun.peer.stall()
            mayBegin.keep()
            let count = try await written.value()
            await world.settle()
            #expect(begun.connection.waiterCount == 1)
            begun.cancel()
            #expect(try await begun.result.value().isCancellation)
            #expect(begun.connection.pendingByteCount >= count - kernelByteCount)
            begun.connection.finish()
            begun.peer.resume()
            #expect(try await begun.peer.receiveTape() == count)
            try await begun.end()
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: Surroundings.allCases)
    func `a task that was cancelled before reads nothing, and still says goodbye`(
        _ surroundings: Surroundings
    ) async throws {
        try await withProgram { world, aio in
            let listener = try world.host("far").listen(on: "*:81")
            let mayBegin = Promise<Void>()
            let begun = try await surroundings.begin(world, aio, listener, mayBegin: mayBegin) {
                connection in
                for read in Read.allCases {
                    #expect(await outcome { try await read(connection) }.isCancellation)
                }
                #expect(await outcome { try await connection.closed() }.isCancellation)
                try await connection.flush()
                try await connection.write("good")
                try await connection.write(["b", "ye"])
            }
            try await begun.peer.send("unread")
            await world.settle()
            #expect(aio.statistics.total.bytesReceived == 6)
            begun.cancel()
            mayBegin.keep()
            try await begun.result.value().get()
            try await begun.peer.expect("goodbye")
            #expect(try await begun.connection.read() == "unread")
            try await begun.end()
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: Surroundings.allCases)
    func `waiting for the end can be cancelled, and ends nothing`(_ surroundings: Surroundings) async throws {
        try await withProgram { world, aio in
            let listener = try world.host("far").listen(on: "*:81")
            let begun = try await surroundings.begin(world, aio, listener) { try await $0.closed() }
            await world.settle()
            #expect(begun.connection.waiterCount == 1)
            begun.cancel()
            #expect(try await begun.result.value().isCancellation)
            try await begun.peer.send("alive")
            #expect(try await begun.connection.read(exactly: 5) == "alive")
            try await begun.end()
        }
    }
}
