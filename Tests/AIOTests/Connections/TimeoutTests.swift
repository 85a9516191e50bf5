// Time limits on blocks of code: who wins, what the loser sees, and that nothing is lost by it.

import AIO
import AIOWorkers
import Testing

extension Loopback {
    @Suite struct TimeoutTests {
        private struct OwnError: Error {}

        @Test(arguments: HandlerExecutor.all)
        func `a body that takes too long is ended with timedOut, and loses nothing`(
            _ executor: HandlerExecutor
        ) async throws {
            try await serving(.testing(executor)) { connection in
                let start = ContinuousClock.now
                let error = await code {
                    _ = try await connection.withTimeout(.milliseconds(50)) { try await connection.read() }
                }
                #expect(error == .timedOut)
                #expect(ContinuousClock.now - start >= .milliseconds(50))
                try await connection.write("now")
                #expect(try await connection.read() == "after")
            } peer: { peer, _ in
                _ = try await onThread { try peer.receive(3) }
                try peer.send("after")
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `a body that ends in time gives its result`(_ executor: HandlerExecutor) async throws {
            try await serving(.testing(executor)) { connection in
                let bytes = try await connection.withTimeout(.seconds(30)) { try await connection.read() }
                #expect(bytes == "in time")
                let place = try await connection.withTimeout(.seconds(30)) {
                    connection.core.worker.isCurrent
                }
                #expect(place == (executor == .worker), "the body runs where handlers do")
            } peer: { peer, _ in
                try peer.send("in time")
            }
        }

        @Test func `limits nest, and the earliest counts`() async throws {
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
                #expect(await inner.value().isCancellation)
                // The inner one: the outer goes on.
                let text = try await connection.withTimeout(.seconds(30)) {
                    let error = await code {
                        _ = try await connection.withTimeout(.milliseconds(50)) {
                            try await connection.read()
                        }
                    }
                    #expect(error == .timedOut)
                    return "went on"
                }
                #expect(text == "went on")
            } peer: { _, _ in
            }
        }

        @Test func `an error of the body's own is thrown as it is, also when time is over`() async throws {
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
            } peer: { _, _ in
            }
        }

        @Test func `a body that ignores the limit is waited for, and its result counts`() async throws {
            try await serving { connection in
                let text = try await connection.withTimeout(.milliseconds(20)) {
                    #expect(await outcome { try await connection.read() }.isCancellation)
                    return "late, but there"
                }
                #expect(text == "late, but there")
            } peer: { _, _ in
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `a caller that is cancelled gets a CancellationError`(_ executor: HandlerExecutor) async throws {
            let ready = Promise<Connection>()
            let begun = Promise<Task<Void, any Error>>()
            try await serving(.testing(executor)) { connection in
                ready.put(connection)
                let task = Task {
                    _ = try await connection.withTimeout(.seconds(30)) { try await connection.read() }
                }
                begun.put(task)
                #expect(await outcome { try await task.value }.isCancellation)
                try await connection.write("now")
                #expect(try await connection.read() == "kept")
            } peer: { peer, _ in
                let connection = await ready.value()
                #expect(await eventually { connection.readIsWaiting })
                await begun.value().cancel()
                _ = try await onThread { try peer.receive(3) }
                try peer.send("kept")
            }
        }

        @Test func `a caller that was cancelled before does not begin`() async throws {
            try await serving { connection in
                let cancelled = Promise<Void>()
                let task = Task {
                    await cancelled.value()
                    let _: Void = try await connection.withTimeout(.seconds(30)) {
                        Issue.record("the body ran")
                    }
                }
                task.cancel()
                cancelled.put(())
                #expect(await outcome { try await task.value }.isCancellation)
            } peer: { _, _ in
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `a read that races the limit ends in one way, and every byte is read once`(
            _ executor: HandlerExecutor
        ) async throws {
            let rounds = isSanitized ? 100 : 300
            var generator = SeededGenerator(state: testSeed())
            let limits = (0..<rounds).map { _ in Int.random(in: 0..<400, using: &generator) }
            let (read, timedOut) = try await serving(.testing(executor)) { connection in
                var position = 0
                var timedOut = 0
                for limit in limits {
                    try await connection.write(".")
                    let result = await outcome {
                        try await connection.withTimeout(.microseconds(limit)) { try await connection.read() }
                    }
                    switch result {
                    case .success(let bytes):
                        let bytes = try #require(bytes)
                        #expect(Pattern.matches(bytes, at: position))
                        position += bytes.count
                    case .failure:
                        #expect(result.code == .timedOut)
                        timedOut += 1
                    }
                }
                connection.finish()
                while let bytes = try await connection.read() {
                    #expect(Pattern.matches(bytes, at: position))
                    position += bytes.count
                }
                return (position, timedOut)
            } peer: { peer, _ in
                try await onThread {
                    for round in 0..<rounds {
                        _ = try peer.receive(1)
                        try peer.send(Array(Pattern.bytes(at: round * 3, count: 3)))
                    }
                    _ = try peer.receiveToEnd()
                    peer.finish()
                }
            }
            #expect(read == rounds * 3)
            #expect(timedOut < rounds)
        }

        @Test func `a write that waits too long is ended, and nothing of it is sent`() async throws {
            let ready = Promise<Int>()
            try await serving(
                on: unixName,
                .testing {
                    $0.highWaterMark = 8_192; $0.lowWaterMark = 4_096
                }
            ) {
                connection in
                let before = try await connection.writeUntilAboveMark(blockByteCount: 4_096)
                let error = await code {
                    try await connection.withTimeout(.milliseconds(50)) {
                        try await connection.write("never")
                    }
                }
                #expect(error == .timedOut)
                ready.put(before)
            } peer: { peer, _ async throws in
                let before = await ready.value()
                #expect(try await peer.receivePattern() == before)
            }
        }

        @Test func `a deadline that is over ends what would wait, one ahead does not`() async throws {
            try await serving { connection in
                let past = connection.clock.now.advanced(by: .seconds(-1))
                let error = await code {
                    _ = try await connection.withDeadline(past) { try await connection.read() }
                }
                #expect(error == .timedOut)
                try await connection.write("now")
                let bytes = try await connection.withDeadline(connection.clock.now.advanced(by: .seconds(30)))
                {
                    try await connection.read()
                }
                #expect(bytes == "x")
                let soon = connection.clock.now.advanced(by: .milliseconds(50))
                let second = await code {
                    _ = try await connection.withDeadline(soon) { try await connection.read() }
                }
                #expect(second == .timedOut)
                #expect(connection.clock.now >= soon)
            } peer: { peer, _ in
                _ = try await onThread { try peer.receive(3) }
                try peer.send("x")
            }
        }
    }
}
