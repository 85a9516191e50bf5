// Time limits on blocks of code: who wins, what the loser sees, and that nothing is lost by it.

import AIO
import AIOTesting
import Testing

@testable import AIOWorkers

@Suite struct TimeoutTests {
    private struct OwnError: Error {}

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere)
    func `a body that takes too long is ended with timedOut, and loses nothing`(
        _ executor: HandlerExecutor
    ) async throws {
        try await serving(.on(executor), within: .seconds(51)) { connection in
            let start = connection.clock.now
            let error = await code {
                _ = try await connection.withTimeout(.seconds(50)) { try await connection.read() }
            }
            #expect(error == .timedOut)
            let passed = start.duration(to: connection.clock.now)
            #expect(passed >= .seconds(50) && passed < .milliseconds(50_002))
            try await connection.write("now")
            #expect(try await connection.read() == "after")
        } peer: { stage in
            try await stage.peer.expect("now")
            try await stage.peer.send("after")
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere)
    func `a body that ends in time gives its result`(_ executor: HandlerExecutor) async throws {
        try await serving(.on(executor), within: .seconds(30)) { connection in
            let bytes = try await connection.withTimeout(.seconds(30)) { try await connection.read() }
            #expect(bytes == "in time")
            let place = try await connection.withTimeout(.seconds(30)) { connection.core.worker.isCurrent }
            #expect(place == (executor == .worker), "the body runs where handlers do")
        } peer: { stage in
            try await stage.world.advance(by: .seconds(29))
            try await stage.peer.send("in time")
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `limits nest, and the earliest counts`() async throws {
        try await serving { connection in
            // The outer one: what it ends sees a cancellation, and only the outer says that time is over.
            let inner = Promise<Outcome<Bytes?>>()
            let outerError = await code {
                try await connection.withTimeout(.milliseconds(50)) {
                    let result = await outcome {
                        try await connection.withTimeout(.seconds(30)) { try await connection.read() }
                    }
                    inner.put(result)
                    _ = try result.get()
                }
            }
            #expect(outerError == .timedOut)
            #expect(inner.kept?.isCancellation == true)
            // The inner one: the outer goes on.
            let text = try await connection.withTimeout(.seconds(30)) {
                let error = await code {
                    _ = try await connection.withTimeout(.milliseconds(50)) { try await connection.read() }
                }
                #expect(error == .timedOut)
                return "went on"
            }
            #expect(text == "went on")
        } peer: { _ in
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `an error of the body's own is thrown as it is, also when time is over`() async throws {
        try await serving { connection in
            await #expect(throws: OwnError.self) {
                try await connection.withTimeout(.seconds(30)) { throw OwnError() }
            }
            await #expect(throws: OwnError.self) {
                try await connection.withTimeout(.milliseconds(20)) {
                    _ = await outcome { try await connection.read() }
                    throw OwnError()
                }
            }
            // A cancellation that has nothing to do with time stays one.
            await #expect(throws: CancellationError.self) {
                try await connection.withTimeout(.seconds(30)) { throw CancellationError() }
            }
        } peer: { _ in
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a body that ignores the limit is waited for, and its result counts`() async throws {
        try await serving(within: .seconds(6)) { connection in
            let start = connection.clock.now
            let text = try await connection.withTimeout(.milliseconds(20)) {
                #expect(await outcome { try await connection.read() }.isCancellation)
                // In a task of its own, which nobody cancels.
                let world = try #require(Simulation.current)
                try await Task(executorPreference: world.taskExecutor) {
                    try await connection.clock.sleep(for: .seconds(5))
                }.value
                return "late, but there"
            }
            #expect(text == "late, but there")
            #expect(start.duration(to: connection.clock.now) >= .seconds(5))
        } peer: { _ in
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere)
    func `a caller that is cancelled gets a CancellationError`(_ executor: HandlerExecutor) async throws {
        let begun = Promise<Task<Void, any Error>>()
        try await serving(.on(executor)) { connection in
            let task = Task(executorPreference: Simulation.current!.taskExecutor) {
                _ = try await connection.withTimeout(.seconds(30)) { try await connection.read() }
            }
            begun.put(task)
            #expect(await outcome { try await task.value }.isCancellation)
            try await connection.write("now")
            #expect(try await connection.read() == "kept")
        } peer: { stage in
            await stage.settle()
            #expect(stage.connection.readIsWaiting)
            try await begun.value().cancel()
            try await stage.peer.expect("now", within: .seconds(1))
            try await stage.peer.send("kept")
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `a caller that was cancelled before does not begin`() async throws {
        try await serving { connection in
            let world = try #require(Simulation.current)
            let cancelled = Promise<Void>()
            let task = Task(executorPreference: world.taskExecutor) {
                try await cancelled.value()
                let _: Void = try await connection.withTimeout(.seconds(30)) {
                    Issue.record("the body ran")
                }
            }
            task.cancel()
            cancelled.keep()
            #expect(await outcome { try await task.value }.isCancellation)
        } peer: { _ in
        }
    }

    // MARK: Races

    /// How many of the reads of one run ended by the limit. What the peer sends takes about as long as the limits are.
    private func raceReads(_ executor: HandlerExecutor) async throws -> (timedOut: Int, of: Int) {
        let rounds = 12
        let (read, timedOut) = try await serving(.on(executor)) { connection in
            let world = try #require(Simulation.current)
            var position = 0
            var timedOut = 0
            for round in 0..<rounds {
                let limit = Duration.microseconds((Int(world.seed) * 7 + round * 3) % 40 * 100)
                try await connection.write(".")
                let result = await outcome {
                    try await connection.withTimeout(limit) { try await connection.read() }
                }
                switch result {
                case .success(let bytes):
                    let bytes = try #require(bytes)
                    #expect(Tape.matches(bytes, at: position))
                    position += bytes.count
                case .failure:
                    #expect(result.code == .timedOut)
                    timedOut += 1
                }
            }
            connection.finish()
            while let bytes = try await connection.read() {
                #expect(Tape.matches(bytes, at: position))
                position += bytes.count
            }
            return (position, timedOut)
        } peer: { stage in
            stage.world.conditions = LinkConditions(latency: .zero ... .milliseconds(2))
            for round in 0..<rounds {
                try await stage.peer.expect(".")
                try await stage.peer.send(Tape.bytes(at: round * 3, count: 3))
            }
            try await stage.peer.expectEnd()
            stage.peer.halfClose()
        }
        #expect(read == rounds * 3)
        return (timedOut, rounds)
    }

    @Test(.simulated(seeds: 0..<60), arguments: HandlerExecutor.everywhere)
    func `a read that races the limit ends in one way, and every byte is read once`(
        _ executor: HandlerExecutor
    ) async throws {
        _ = try await raceReads(executor)
    }

    @Test func `of the seeds some have the limit first, and some the bytes`() async throws {
        var timedOut = 0
        var all = 0
        for seed in 0..<20 as Range<UInt64> {
            try await Simulation(seed: seed).run { _ in
                let counts = try await raceReads(.worker)
                timedOut += counts.timedOut
                all += counts.of
            }
        }
        #expect(timedOut > all / 10 && timedOut < all * 9 / 10, "\(timedOut) of \(all)")
    }

    // MARK: Writes, deadlines

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere, Road.allCases)
    func `a write that waits too long is ended, and nothing of it is sent`(
        _ executor: HandlerExecutor, _ road: Road
    ) async throws {
        let options = ServerOptions.on(executor) {
            $0.highWaterMark = 8_192
            $0.lowWaterMark = 4_096
        }
        let isStalled = Promise<Void>()
        let written = Promise<Int>()
        try await serving(over: road, options) { connection in
            let world = try #require(Simulation.current)
            try await isStalled.value()
            let before = try await connection.writeUntilAboveMark(blockByteCount: 4_096, in: world)
            let error = await code {
                try await connection.withTimeout(.milliseconds(50)) { try await connection.write("never") }
            }
            #expect(error == .timedOut)
            written.put(before)
        } peer: { stage in
            stage.peer.stall()
            isStalled.keep()
            let before = try await written.value()
            stage.peer.resume()
            #expect(try await stage.peer.receiveTape() == before)
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: HandlerExecutor.everywhere)
    func `a deadline that is over ends what would wait, one ahead does not`(_ executor: HandlerExecutor)
        async throws
    {
        try await serving(.on(executor)) { connection in
            let past = connection.clock.now.advanced(by: .seconds(-1))
            let error = await code {
                _ = try await connection.withDeadline(past) { try await connection.read() }
            }
            #expect(error == .timedOut)
            try await connection.write("now")
            let bytes = try await connection.withDeadline(connection.clock.now.advanced(by: .seconds(30))) {
                try await connection.read()
            }
            #expect(bytes == "x")
            let soon = connection.clock.now.advanced(by: .milliseconds(50))
            let second = await code {
                _ = try await connection.withDeadline(soon) { try await connection.read() }
            }
            #expect(second == .timedOut)
            #expect(
                connection.clock.now >= soon && connection.clock.now < soon.advanced(by: .milliseconds(2)))
        } peer: { stage in
            try await stage.peer.expect("now")
            try await stage.peer.send("x")
        }
    }
}
