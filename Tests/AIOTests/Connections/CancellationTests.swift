// Cancelled reads, writes and flushes, from every kind of task: what was cancelled has one outcome, and no byte
// is lost or doubled by it.

import AIO
import AIOKernel
import Testing

extension Loopback {
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

        @Test(arguments: Surroundings.allCases, Read.allCases)
        func `a read that waits is cancelled, and what comes afterwards is read by another task`(
            _ surroundings: Surroundings, _ read: Read
        ) async throws {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                let begun = try await surroundings.begin(aio, listener) { try await read($0) }
                if read != .read { try begun.peer.send("ab") }
                #expect(await eventually { begun.connection.readIsWaiting })
                begun.cancel()
                #expect(await begun.result.value().isCancellation)
                #expect(!begun.connection.readIsWaiting)
                try begun.peer.send("cd")
                let expected: Bytes = read == .read ? "cd" : "abcd"
                #expect(try await begun.connection.read(exactly: expected.count) == expected)
                try await begun.end()
                listener.close()
            }
        }

        @Test(arguments: Surroundings.allCases)
        func `a read whose cancellation races its bytes has one outcome, and every byte is read once`(
            _ surroundings: Surroundings
        ) async throws {
            let rounds = isSanitized ? 40 : 300
            var generator = SeededGenerator(state: testSeed())
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                var cancelled = 0
                for round in 0..<rounds {
                    let read: Read = round % 2 == 0 ? .read : .exactly
                    let begun = try await surroundings.begin(aio, listener) { try await read($0) }
                    if Bool.random(using: &generator) {
                        #expect(await eventually { begun.connection.readIsWaiting })
                    }
                    let cancelsFirst = Bool.random(using: &generator)
                    let pause = Int.random(in: 0..<3_000, using: &generator)
                    if cancelsFirst { begun.cancel() } else { try begun.peer.send("1234") }
                    for _ in 0..<pause { spinOnce() }
                    if cancelsFirst { try begun.peer.send("1234") } else { begun.cancel() }
                    let result = await begun.result.value()
                    if case .success(let bytes) = result {
                        #expect(bytes == "1234")
                        // Nothing of it is left: the next bytes are the next ones.
                        try begun.peer.send("next")
                        #expect(try await begun.connection.read(exactly: 4) == "next")
                    } else {
                        #expect(result.isCancellation)
                        cancelled += 1
                        #expect(try await begun.connection.read(exactly: 4) == "1234")
                    }
                    try await begun.end()
                }
                #expect(cancelled > 0)
                listener.close()
            }
        }

        private static let narrow = ConnectionLimits.testing {
            $0.highWaterMark = 8_192
            $0.lowWaterMark = 4_096
        }

        /// Writes until a write throws; how many bytes were accepted before.
        private static func writeOn(_ connection: Connection) async throws -> Int {
            var written = 0
            do {
                while true {
                    let bytes = Pattern.bytes(at: written, count: 3_000 + written % 977)
                    if written % 2 == 0 {
                        try await connection.write(bytes)
                    } else {
                        try await connection.write([bytes.prefix(1_000), bytes.dropFirst(1_000)])
                    }
                    written += bytes.count
                    // One that need not wait is accepted from a cancelled task too, and this is not about those.
                    if Task.isCancelled { return written }
                }
            } catch is CancellationError {
                return written
            }
        }

        @Test(arguments: Surroundings.allCases)
        func `of a write that waits and is cancelled nothing arrives`(_ surroundings: Surroundings)
            async throws
        {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener(on: Endpoint(parsing: unixName))
                let begun = try await surroundings.begin(aio, listener, limits: Self.narrow) {
                    try await Self.writeOn($0)
                }
                let pending = { begun.connection.pendingByteCount }
                var before = -1
                // It waits, and the kernel takes no more.
                #expect(
                    await eventually {
                        defer { before = pending() }
                        return begun.connection.waiterCount == 1 && pending() == before && before > 8_192
                    })
                begun.cancel()
                let accepted = try await begun.result.value().get()
                begun.connection.finish()
                #expect(try await begun.peer.receivePattern() == accepted)
                try await begun.end()
                listener.close()
            }
        }

        @Test(arguments: Surroundings.allCases)
        func `a write whose cancellation races the room for it is accepted whole or not at all`(
            _ surroundings: Surroundings
        ) async throws {
            let rounds = isSanitized ? 20 : 100
            var generator = SeededGenerator(state: testSeed())
            try await withProactor(.testing()) { aio in
                let listener = try RawListener(on: Endpoint(parsing: unixName))
                for _ in 0..<rounds {
                    let begun = try await surroundings.begin(aio, listener, limits: Self.narrow) {
                        try await Self.writeOn($0)
                    }
                    #expect(await eventually { begun.connection.waiterCount == 1 })
                    let pause = Int.random(in: 0..<20_000, using: &generator)
                    async let received = begun.peer.receivePattern()
                    for _ in 0..<pause { spinOnce() }
                    begun.cancel()
                    let accepted = try await begun.result.value().get()
                    begun.connection.finish()
                    #expect(try await received == accepted)
                    try await begun.end()
                }
                listener.close()
            }
        }

        @Test(arguments: Surroundings.allCases)
        func `a flush that waits is cancelled, and the sending goes on`(_ surroundings: Surroundings)
            async throws
        {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener(on: Endpoint(parsing: unixName))
                let written = Promise<Int>()
                let begun = try await surroundings.begin(aio, listener, limits: Self.narrow) { connection in
                    written.put(try await connection.writeUntilAboveMark(blockByteCount: 4_096))
                    try await connection.flush()
                }
                let count = await written.value()
                #expect(await eventually { begun.connection.waiterCount == 1 })
                begun.cancel()
                #expect(await begun.result.value().isCancellation)
                #expect(begun.connection.pendingByteCount > 0)
                begun.connection.finish()
                #expect(try await begun.peer.receivePattern() == count)
                try await begun.end()
                listener.close()
            }
        }

        @Test(arguments: Surroundings.allCases)
        func `a task that was cancelled before reads nothing, and still says goodbye`(
            _ surroundings: Surroundings
        ) async throws {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                let mayBegin = Promise<Void>()
                let begun = try await surroundings.begin(aio, listener, mayBegin: mayBegin) { connection in
                    for read in Read.allCases {
                        #expect(await outcome { try await read(connection) }.isCancellation)
                    }
                    #expect(await outcome { try await connection.closed() }.isCancellation)
                    try await connection.flush()
                    try await connection.write("good")
                    try await connection.write(["b", "ye"])
                }
                try begun.peer.send("unread")
                #expect(await eventually { aio.statistics.total.bytesReceived == 6 })
                begun.cancel()
                mayBegin.put(())
                try await begun.result.value().get()
                #expect(try await onThread { try begun.peer.receiveText(7) } == "goodbye")
                #expect(try await begun.connection.read() == "unread")
                try await begun.end()
                listener.close()
            }
        }

        @Test(arguments: Surroundings.allCases)
        func `waiting for the end can be cancelled, and ends nothing`(_ surroundings: Surroundings)
            async throws
        {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                let begun = try await surroundings.begin(aio, listener) { try await $0.closed() }
                #expect(await eventually { begun.connection.waiterCount == 1 })
                begun.cancel()
                #expect(await begun.result.value().isCancellation)
                try begun.peer.send("alive")
                #expect(try await begun.connection.read(exactly: 5) == "alive")
                try await begun.end()
                listener.close()
            }
        }

        /// Some time that the optimiser leaves alone.
        @inline(never) private func spinOnce() {}
    }
}
