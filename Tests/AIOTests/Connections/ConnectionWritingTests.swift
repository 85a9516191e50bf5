// Straight-line writes: when they wait and for how long, their order, and what ends them.

import AIO
import Synchronization
import Testing

extension Loopback {
    @Suite struct ConnectionWritingTests {
        private static let narrow = ServerOptions.testing {
            $0.highWaterMark = 64 << 10
            $0.lowWaterMark = 32 << 10
        }

        @Test func `a write waits above the high mark, and goes on below the low one`() async throws {
            let block = 10_000
            let waiting = Promise<(Connection, Int)>()
            let total = try await serving(on: unixName, Self.narrow) { connection in
                let before = try await connection.writeUntilAboveMark(blockByteCount: block)
                let pending = connection.pendingByteCount
                #expect(pending > 64 << 10 && pending <= (64 << 10) + block)
                waiting.put((connection, before))
                try await connection.write(Pattern.bytes(at: before, count: block))
                #expect(connection.pendingByteCount <= (32 << 10) + block)
                return before + block
            } peer: { peer, _ in
                let (connection, before) = await waiting.value()
                #expect(await eventually { connection.waiterCount == 1 })
                // Little by little, so that it is seen to wait for the low mark.
                var received = 0
                while received < before {
                    received += try await peer.receivePattern(
                        from: received, atMost: min(4_096, before - received))
                }
                received += try await peer.receivePattern(from: received)
                #expect(received == before + block)
            }
            #expect(total % block == 0)
        }

        @Test func `writers that wait go in the order in which they came, each in one piece`() async throws {
            let count = 8
            let ready = Promise<(Connection, Int)>()
            let allDone = Promise<Void>()
            try await serving(on: unixName, Self.narrow) { connection in
                ready.put((connection, try await connection.writeUntilAboveMark()))
                await allDone.value()
            } peer: { peer, _ in
                let (connection, before) = await ready.value()
                var writers: [Task<Void, any Error>] = []
                for index in 0..<count {
                    writers.append(
                        Task.detached {
                            let half = Bytes([UInt8](repeating: UInt8(index), count: 25_000))
                            try await connection.write([half, half])
                        })
                    #expect(await eventually { connection.waiterCount == index + 1 })
                }
                #expect(try await peer.receivePattern(atMost: before) == before)
                let rest = try await onThread { try peer.receive(count * 50_000) }
                for writer in writers { try await writer.value }
                allDone.put(())
                let expected = (0..<count).flatMap { [UInt8](repeating: UInt8($0), count: 50_000) }
                #expect(rest == expected)
            }
        }

        @Test func `a write on the worker does not overtake what another thread sent before`() async throws {
            try await serving { connection in
                // The worker is held by this handler, so what the other thread leaves for it stays where it is.
                try holdingThisThread { connection.send("first, ") }
                try await connection.write("second")
                try holdingThisThread { connection.send(", third") }
                try await connection.write(["", ", fourth"])
            } peer: { peer, _ in
                let bytes = try await onThread { try peer.receiveToEnd() }
                #expect(String(decoding: bytes, as: UTF8.self) == "first, second, third, fourth")
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `the parts of a write stay together, whoever else writes`(_ executor: HandlerExecutor)
            async throws
        {
            let writers = 4
            let rounds = isSanitized ? 200 : 1_000
            try await serving(
                .testing(executor) {
                    $0.highWaterMark = 2_000; $0.lowWaterMark = 500
                }
            ) {
                connection in
                try await withThrowingTaskGroup { group in
                    for writer in 0..<writers {
                        group.addTask {
                            for round in 0..<rounds {
                                let body = Bytes([UInt8](repeating: UInt8(writer), count: round % 200))
                                try await connection.write([
                                    Bytes([UInt8(writer), UInt8(round % 251), UInt8(body.count)]), body, "\n",
                                ])
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            } peer: { peer, _ in
                let bytes = try await onThread { try peer.receiveToEnd() }
                var next = [Int](repeating: 0, count: writers)
                var position = 0
                while position < bytes.count {
                    let writer = Int(bytes[position])
                    let round = next[writer]
                    try #require(bytes[position + 1] == UInt8(round % 251), "out of order")
                    let end = position + 3 + Int(bytes[position + 2])
                    try #require(
                        bytes[position + 3..<end].allSatisfy { $0 == UInt8(writer) } && bytes[end] == 10)
                    next[writer] += 1
                    position = end + 1
                }
                #expect(next == [Int](repeating: rounds, count: writers))
            }
        }

        @Test func `flush returns when everything is in the kernel, and not before`() async throws {
            let ready = Promise<(Connection, Int)>()
            try await serving(on: unixName, Self.narrow) { connection in
                try await connection.flush()
                let before = try await connection.writeUntilAboveMark()
                ready.put((connection, before))
                try await connection.flush()
                #expect(connection.pendingByteCount == 0)
            } peer: { peer, _ in
                let (connection, before) = await ready.value()
                #expect(await eventually { connection.waiterCount == 1 })
                let some = try await peer.receivePattern(atMost: 30_000)
                await connection.worker {}
                #expect(connection.waiterCount == 1, "most of it is still queued")
                #expect(try await peer.receivePattern(from: some) == before - some)
            }
        }

        @Test func `after finish the peer reads the end, later writes are refused, and reads go on`()
            async throws
        {
            try await serving { connection in
                try await connection.write("all of it")
                connection.finish()
                #expect(await code { try await connection.write("late") } == .closed)
                #expect(await code { try await connection.write(["la", "te"]) } == .closed)
                #expect(await code { try await connection.write("") } == .closed)
                try await connection.flush()
                #expect(try await connection.readAll(atMost: 100) == "and the answer")
            } peer: { peer, _ in
                #expect(try await onThread { try peer.receiveToEnd() } == Array("all of it".utf8))
                try peer.send("and the answer")
                peer.finish()
            }
        }

        @Test(arguments: ["finish", "close", "abort"])
        func `a write that waits when the writing is ended has written nothing, and says so`(_ ending: String)
            async throws
        {
            let ready = Promise<(Connection, Int)>()
            let error = try await serving(on: unixName, Self.narrow) { connection in
                ready.put((connection, try await connection.writeUntilAboveMark()))
                return await code { try await connection.write("too late") }
            } peer: { peer, _ async throws in
                let (connection, before) = await ready.value()
                #expect(await eventually { connection.waiterCount == 1 })
                switch ending {
                case "finish": connection.finish()
                case "close": connection.close()
                default: connection.abort()
                }
                if ending == "abort" { return }
                #expect(await eventually { connection.waiterCount == 0 })
                #expect(try await peer.receivePattern() == before)
            }
            #expect(error == .closed)
        }

        @Test(arguments: HandlerExecutor.all)
        func `writing to a peer that has reset throws before long`(_ executor: HandlerExecutor) async throws {
            let ready = Promise<Void>()
            let error = try await serving(.testing(executor)) { connection async throws in
                await ready.value()
                let error = await code { while true { try await connection.write("anybody there?") } }
                #expect(await code { try await connection.flush() } == error)
                #expect(try await connection.closed() == .reset)
                return error
            } peer: { peer, _ in
                peer.reset()
                ready.put(())
            }
            #expect(error == .connectionReset)
        }

        @Test(arguments: HandlerExecutor.all)
        func `a peer that takes nothing for too long is cut, and its writer told`(_ executor: HandlerExecutor)
            async throws
        {
            let options = ServerOptions.testing(executor) { $0.writeProgressTimeout = .milliseconds(100) }
            try await serving(on: unixName, options) { connection async throws in
                async let flushed = code { try await connection.flush() }
                let error = await code {
                    while true { try await connection.write(Pattern.bytes(at: 0, count: 10_000)) }
                }
                #expect(error == .timedOut)
                #expect(try await connection.closed() == .stalled)
                #expect(await code { try await connection.flush() } == .timedOut)
                #expect(await code { _ = try await connection.read() } == .timedOut)
                _ = await flushed
            } peer: { _, _ in
            }
        }

        @Test func `one write may be much larger than the marks`() async throws {
            let parts = isSanitized ? 2 : 16
            try await serving { connection in
                let large = Bytes(joining: (0..<parts).map { Pattern.bytes(at: $0 << 20, count: 1 << 20) })
                try await connection.write(large)
                try await connection.flush()
                #expect(connection.pendingByteCount == 0)
            } peer: { peer, _ async throws in
                #expect(try await peer.receivePattern() == parts << 20)
            }
        }

        @Test func `writing nothing writes nothing`() async throws {
            try await serving { connection in
                try await connection.write("")
                try await connection.write([])
                try await connection.write(["", ""])
                try await connection.write(["", "x", ""])
                try await connection.write("")
                try await connection.flush()
            } peer: { peer, _ async throws in
                #expect(try await onThread { try peer.receiveToEnd() } == Array("x".utf8))
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `sends and writes of one task keep their order`(_ executor: HandlerExecutor) async throws {
            let rounds = isSanitized ? 300 : 2_000
            let total = try await serving(.testing(executor)) { connection in
                var position = 0
                for round in 0..<rounds {
                    let bytes = Pattern.bytes(at: position, count: 1 + round % 997)
                    if round % 3 == 0, case .refused(let why) = connection.send(bytes) {
                        Issue.record("refused: \(why)")
                    }
                    if round % 3 == 1 { try await connection.write(bytes) }
                    if round % 3 == 2 { try await connection.write([bytes.prefix(3), bytes.dropFirst(3)]) }
                    position += bytes.count
                }
                return position
            } peer: { peer, _ in
                _ = try await peer.receivePattern()
            }
            #expect(total > 0)
        }

        @Test func `a write below the mark does not wait because somebody waits for the end`() async throws {
            let options = ServerOptions.testing {
                $0.highWaterMark = 64 << 10
                $0.lowWaterMark = 0
            }
            let reached = Promise<Connection>()
            let done = Promise<Void>()
            try await serving(on: unixName, options) { connection in
                // As much as the kernel takes and one byte more.
                var written = 0
                while connection.pendingByteCount == 0 {
                    try await connection.write(Pattern.bytes(at: written, count: 4_096))
                    written += 4_096
                    await connection.worker {}
                }
                async let reason = connection.closed()
                #expect(await eventually { connection.waiterCount == 1 })
                let error = await code {
                    try await connection.withTimeout(.seconds(2)) { try await connection.write("little") }
                }
                #expect(error == nil, "it waited")
                reached.put(connection)
                await done.value()
                _ = try await reason
            } peer: { peer, _ in
                let connection = await reached.value()
                connection.close()
                _ = try await onThread { try peer.receiveToEnd() }
                peer.close()
                done.put(())
            }
        }
    }
}
