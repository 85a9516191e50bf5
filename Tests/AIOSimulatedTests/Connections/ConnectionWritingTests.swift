// Straight-line writes: when they wait and for how long, their order, and what ends them.

import AIO
import AIOTesting
import Testing

@Suite struct ConnectionWritingTests {
    private static func narrow(_ executor: HandlerExecutor = .worker) -> ServerOptions {
        .on(executor) {
            $0.highWaterMark = 64 << 10
            $0.lowWaterMark = 32 << 10
        }
    }

    /// A connection whose peer reads nothing and whose queue is above the mark: `body` is the handler from there on, and knows
    /// how many bytes were written; so does `script`, which is called once `body` waits.
    private func stalled<Value: Sendable>(
        over road: Road = .tcp, _ options: ServerOptions = narrow(), blockByteCount: Int = 16_384,
        _ body: @escaping @Sendable (Connection, Int) async throws -> Value,
        peer script: (Stage, Int) async throws -> Void
    ) async throws -> Value {
        let written = Promise<Int>()
        let isStalled = Promise<Void>()
        return try await serving(over: road, options) { connection in
            let world = try #require(Simulation.current)
            try await isStalled.value()
            let before = try await connection.writeUntilAboveMark(blockByteCount: blockByteCount, in: world)
            written.put(before)
            return try await body(connection, before)
        } peer: { stage in
            stage.peer.stall()
            isStalled.keep()
            let before = try await written.value()
            await stage.settle()
            try await script(stage, before)
        }
    }

    // MARK: Waiting

    @Test(.simulated(seeds: 0..<15), arguments: HandlerExecutor.everywhere, Road.allCases)
    func `a write waits above the high mark, and goes on below the low one`(
        _ executor: HandlerExecutor, _ road: Road
    ) async throws {
        let block = 10_000
        try await stalled(over: road, Self.narrow(executor), blockByteCount: block) { connection, before in
            let pending = connection.pendingByteCount
            #expect(pending > 64 << 10 && pending <= (64 << 10) + block)
            try await connection.write(Tape.bytes(at: before, count: block))
            #expect(connection.pendingByteCount <= (32 << 10) + block)
        } peer: { stage, before in
            // Little by little, so that it is seen to wait for the low mark.
            var received = 0
            while stage.connection.waiterCount == 1 {
                #expect(stage.connection.pendingByteCount > 32 << 10)
                stage.peer.stall(after: 4_096)
                await stage.settle()
                received += 4_096
                try #require(received < before)
            }
            stage.peer.resume()
            #expect(try await stage.peer.receiveTape() == before + block)
        }
    }

    @Test(.simulated(seeds: 0..<15), arguments: HandlerExecutor.everywhere)
    func `writers that wait go in the order in which they came, each in one piece`(
        _ executor: HandlerExecutor
    ) async throws {
        let count = 8
        let mayEnd = Promise<Void>()
        try await stalled(Self.narrow(executor)) { _, _ in
            try await mayEnd.value()
        } peer: { stage, before in
            let connection = stage.connection
            try await withThrowingTaskGroup { group in
                for index in 0..<count {
                    group.addTask {
                        let half = Bytes([UInt8](repeating: UInt8(index), count: 12_500))
                        try await connection.write([half, half])
                    }
                    await stage.settle()
                    #expect(connection.waiterCount == index + 1)
                }
                stage.peer.resume()
                try await stage.peer.expectTape(before)
                for index in 0..<count {
                    try await stage.peer.expect(Bytes([UInt8](repeating: UInt8(index), count: 25_000)))
                }
                try await group.waitForAll()
            }
            mayEnd.keep()
            try await stage.peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<15), arguments: HandlerExecutor.everywhere, Road.allCases)
    func `flush returns when everything is in the kernel, and not before`(
        _ executor: HandlerExecutor, _ road: Road
    ) async throws {
        try await stalled(over: road, Self.narrow(executor)) { connection, _ in
            try await connection.flush()
            #expect(connection.pendingByteCount == 0)
        } peer: { stage, before async throws in
            #expect(stage.connection.waiterCount == 1)
            stage.peer.stall(after: 30_000)
            await stage.settle()
            #expect(stage.connection.waiterCount == 1, "most of it is still queued")
            #expect(stage.connection.pendingByteCount > 0)
            stage.peer.resume()
            #expect(try await stage.peer.receiveTape() == before)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a flush with nothing queued does not wait`() async throws {
        try await serving { connection in
            try await connection.flush()
            #expect(connection.waiterCount == 0)
        } peer: { stage in
            try await stage.peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: Road.allCases)
    func `a write below the mark does not wait because somebody waits for the end`(_ road: Road)
        async throws
    {
        let options = ServerOptions.on {
            $0.highWaterMark = 64 << 10
            $0.lowWaterMark = 0
        }
        let wrote = Promise<Void>()
        try await serving(over: road, options) { connection in
            let world = try #require(Simulation.current)
            // As much as the kernel takes and one byte more.
            var written = 0
            while connection.pendingByteCount == 0 {
                try await connection.write(Tape.bytes(at: written, count: 4_096))
                written += 4_096
                try #require(written <= 2 * kernelByteCount)
                await world.settle()
            }
            async let reason = connection.closed()
            await world.settle()
            #expect(connection.waiterCount == 1)
            try await connection.withTimeout(.seconds(2)) { try await connection.write("little") }
            wrote.keep()
            _ = try await reason
        } peer: { stage in
            stage.peer.stall()
            try await wrote.value()
            stage.connection.close()
            stage.peer.resume()
            _ = try await stage.peer.receiveToEnd()
            stage.peer.close()
        }
    }

    // MARK: Order

    @Test(.simulated(seeds: 0..<15), arguments: HandlerExecutor.everywhere)
    func `the parts of a write stay together, whoever else writes`(_ executor: HandlerExecutor) async throws {
        let writers = 4
        let rounds = 60
        let options = ServerOptions.on(executor) {
            $0.highWaterMark = 2_000
            $0.lowWaterMark = 500
        }
        try await serving(options) { connection in
            try await withThrowingTaskGroup { group in
                for writer in 0..<writers {
                    group.addTask {
                        for round in 0..<rounds {
                            let body = Bytes([UInt8](repeating: UInt8(writer), count: round % 200))
                            try await connection.write([
                                Bytes([UInt8(writer), UInt8(round), UInt8(body.count)]), body, "\n",
                            ])
                        }
                    }
                }
                try await group.waitForAll()
            }
        } peer: { stage in
            let bytes = [UInt8](try await stage.peer.receiveToEnd())
            var next = [Int](repeating: 0, count: writers)
            var position = 0
            while position < bytes.count {
                try #require(position + 3 <= bytes.count && bytes[position] < writers, "torn apart")
                let writer = Int(bytes[position])
                try #require(bytes[position + 1] == UInt8(next[writer]), "out of order")
                let end = position + 3 + Int(bytes[position + 2])
                try #require(end < bytes.count)
                try #require(bytes[position + 3..<end].allSatisfy { $0 == UInt8(writer) } && bytes[end] == 10)
                next[writer] += 1
                position = end + 1
            }
            #expect(next == [Int](repeating: rounds, count: writers))
        }
    }

    @Test(.simulated(seeds: 0..<15), arguments: HandlerExecutor.everywhere, Road.allCases)
    func `sends and writes of one task keep their order`(_ executor: HandlerExecutor, _ road: Road)
        async throws
    {
        let total = try await serving(over: road, .on(executor)) { connection in
            var position = 0
            for round in 0..<300 {
                let bytes = Tape.bytes(at: position, count: 1 + round % 997)
                if round % 3 == 0, case .refused(let why) = connection.send(bytes) {
                    Issue.record("refused: \(why)")
                }
                if round % 3 == 1 { try await connection.write(bytes) }
                if round % 3 == 2 { try await connection.write([bytes.prefix(3), bytes.dropFirst(3)]) }
                position += bytes.count
            }
            return position
        } peer: { stage in
            _ = try await stage.peer.receiveTape()
        }
        #expect(total == (0..<300).reduce(0) { $0 + 1 + $1 % 997 })
    }

    @Test(.simulated(seeds: 0..<15), arguments: HandlerExecutor.everywhere)
    func `one write may be much larger than the marks`(_ executor: HandlerExecutor) async throws {
        let byteCount = 400_000
        try await serving(.on(executor)) { connection in
            try await connection.write(Tape.bytes(count: byteCount))
            try await connection.flush()
            #expect(connection.pendingByteCount == 0)
        } peer: { stage async throws in
            #expect(try await stage.peer.receiveTape() == byteCount)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `writing nothing writes nothing`() async throws {
        try await serving { connection in
            try await connection.write("")
            try await connection.write([])
            try await connection.write(["", ""])
            try await connection.write(["", "x", ""])
            try await connection.write("")
            try await connection.flush()
        } peer: { stage async throws in
            #expect(try await stage.peer.receiveToEnd() == "x")
        }
    }

    // MARK: The end

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere)
    func `after finish the peer reads the end, later writes are refused, and reads go on`(
        _ executor: HandlerExecutor
    ) async throws {
        try await serving(.on(executor)) { connection in
            try await connection.write("all of it")
            connection.finish()
            #expect(await code { try await connection.write("late") } == .closed)
            #expect(await code { try await connection.write(["la", "te"]) } == .closed)
            #expect(await code { try await connection.write("") } == .closed)
            try await connection.flush()
            #expect(try await connection.readAll(atMost: 100) == "and the answer")
        } peer: { stage in
            #expect(try await stage.peer.receiveToEnd() == "all of it")
            try await stage.peer.send("and the answer")
            stage.peer.halfClose()
        }
    }

    @Test(.simulated(seeds: 0..<15), arguments: ["finish", "close", "abort"], Road.withResets)
    func `a write that waits when the writing is ended has written nothing, and says so`(
        _ ending: String, _ road: Road
    ) async throws {
        let error = try await stalled(over: road) { connection, _ in
            await code { try await connection.write("too late") }
        } peer: { stage, before in
            #expect(stage.connection.waiterCount == 1)
            switch ending {
            case "finish": stage.connection.finish()
            case "close": stage.connection.close()
            default: stage.connection.abort()
            }
            await stage.settle()
            #expect(stage.connection.waiterCount == 0)
            stage.peer.resume()
            if ending == "abort" {
                await stage.settle()
                #expect(stage.peer.receivedByteCount < before)
                try await stage.peer.expectTape(stage.peer.receivedByteCount)
                try await stage.peer.expectReset()
            } else {
                #expect(try await stage.peer.receiveTape() == before)
            }
        }
        #expect(error == .closed)
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere, Road.allCases)
    func `writing to a peer that has reset throws before long`(_ executor: HandlerExecutor, _ road: Road)
        async throws
    {
        let hasReset = Promise<Void>()
        let error = try await serving(over: road, .on(executor)) { connection async throws in
            try await hasReset.value()
            let error = await code { while true { try await connection.write("anybody there?") } }
            #expect(await code { try await connection.flush() } == error)
            #expect(try await connection.closed() == .reset)
            return error
        } peer: { stage in
            stage.peer.reset()
            hasReset.keep()
        }
        #expect(error == .connectionReset)
    }

    @Test(.simulated(seeds: 0..<15), arguments: HandlerExecutor.everywhere, Road.allCases)
    func `a peer that takes nothing for too long is cut, and its writer told`(
        _ executor: HandlerExecutor, _ road: Road
    ) async throws {
        let options = ServerOptions.on(executor) { $0.writeProgressTimeout = .seconds(30) }
        let mayWrite = Promise<Void>()
        try await serving(over: road, options, within: .seconds(31)) { connection async throws in
            try await mayWrite.value()
            let start = connection.clock.now
            async let flushed = code { try await connection.flush() }
            let error = await code {
                while true { try await connection.write(Tape.bytes(count: 10_000)) }
            }
            #expect(error == .timedOut)
            let passed = start.duration(to: connection.clock.now)
            #expect(passed >= .seconds(30) && passed < .milliseconds(30_010))
            #expect(try await connection.closed() == .stalled)
            #expect(await code { try await connection.flush() } == .timedOut)
            #expect(await code { _ = try await connection.read() } == .timedOut)
            _ = await flushed
        } peer: { stage in
            stage.peer.stall()
            mayWrite.keep()
        }
    }

    @Test(.simulated(seeds: 0..<15), arguments: Road.allCases)
    func `a peer that takes a little now and then is not cut`(_ road: Road) async throws {
        let options = ServerOptions.on { $0.writeProgressTimeout = .seconds(30) }
        let byteCount = 200_000
        let mayWrite = Promise<Void>()
        try await serving(over: road, options, within: .seconds(251)) { connection async throws in
            try await mayWrite.value()
            try await connection.write(Tape.bytes(count: byteCount))
            try await connection.flush()
        } peer: { stage in
            stage.peer.stall()
            mayWrite.keep()
            while stage.peer.receivedByteCount + kernelByteCount < byteCount {
                try await stage.world.advance(by: .seconds(25))
                try #require(stage.total.openConnections == 1, "it was cut")
                // As much as frees a third of the kernel's buffer: less is no progress to the writer.
                stage.peer.stall(after: 12_000)
                await stage.settle()
            }
            stage.peer.resume()
            #expect(try await stage.peer.receiveTape() == byteCount)
        }
    }
}
