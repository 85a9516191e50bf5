// Handlers that are cancelled with their server, wherever they wait; and attempts to connect that are.

import AIO
import AIOKernel
import Glibc
import SystemPackage
import Testing

extension Loopback {
    @Suite struct OwnerCancellationTests {
        /// Where a handler is when it is cancelled.
        enum Place: String, CaseIterable, Sendable {
            case read, readExactly, write, flush, closed, withTimeout, nestedTimeouts, childRead, childWrite

            /// Waits there for ever.
            func wait(_ connection: Connection) async throws {
                switch self {
                case .read: while try await connection.read() != nil {}
                case .readExactly: _ = try await connection.read(exactly: 1_000)
                case .write: while true { try await connection.write(Pattern.bytes(at: 0, count: 10_000)) }
                case .flush:
                    _ = try await connection.writeUntilAboveMark()
                    try await connection.flush()
                case .closed: _ = try await connection.closed()
                case .withTimeout:
                    _ = try await connection.withTimeout(.seconds(60)) { try await connection.read() }
                case .nestedTimeouts:
                    _ = try await connection.withTimeout(.seconds(60)) {
                        try await connection.withTimeout(.seconds(60)) { try await connection.read() }
                    }
                case .childRead:
                    async let bytes = connection.read()
                    _ = try await bytes
                case .childWrite:
                    async let done: Void = Place.write.wait(connection)
                    try await done
                }
            }

            func hasBegun(_ connection: Connection) -> Bool {
                switch self {
                case .read, .readExactly, .withTimeout, .nestedTimeouts, .childRead: connection.readIsWaiting
                case .write, .flush, .closed, .childWrite: connection.waiterCount == 1
                }
            }
        }

        @Test(arguments: Place.allCases, HandlerExecutor.all)
        func `a handler is cancelled where it waits, and serve returns`(
            _ place: Place, _ executor: HandlerExecutor
        )
            async throws
        {
            try await withProactor(.testing { $0.report = { _ in } }) { aio in
                let server = try await aio.listen(on: unixName, options: .testing(executor))
                let ready = Promise<Connection>()
                let result = Promise<Outcome<Void>>()
                let serving = Task.detached {
                    try await server.serve { connection in
                        ready.put(connection)
                        let became = await outcome { try await place.wait(connection) }
                        // It stays cancelled: nothing waits any more.
                        #expect(Task.isCancelled)
                        #expect(await outcome { try await connection.read() }.isCancellation)
                        result.put(became)
                        try became.get()
                    }
                }
                let peer = try RawPeer(connectingTo: server.endpoint)
                let connection = await ready.value()
                #expect(await eventually { place.hasBegun(connection) })
                serving.cancel()
                let report = try await serving.value
                #expect(report.accepted == 1 && report.completed + report.failed == 1)
                // The connection is cut in the same moment, and either may be seen first.
                let became = await result.value()
                #expect(became.isCancellation || became.code == .closed || place == .closed)
                #expect(connection.core.closeReason == .aborted)
                peer.close()
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `an owner that was cancelled waits no more, and its connection stays whole`(
            _ executor: HandlerExecutor
        ) async throws {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                let made = Promise<Connection>()
                var options = ClientOptions()
                options.executor = executor
                let session = Task.detached { [options] in
                    try await aio.connect(to: listener.endpoint, options: options) { connection in
                        made.put(connection)
                        for _ in 0..<3 {
                            #expect(await outcome { try await connection.read() }.isCancellation)
                            #expect(await outcome { try await connection.read(exactly: 2) }.isCancellation)
                        }
                        try await connection.write("bye")
                        // A task that is not cancelled may still read for it.
                        return try await Task.detached { try await connection.read(exactly: 4) }.value
                    }
                }
                let connection = await made.value()
                let peer = try listener.accept()
                #expect(await eventually { connection.readIsWaiting })
                session.cancel()
                #expect(try await onThread { try peer.receiveText(3) } == "bye")
                try peer.send("last")
                #expect(try await session.value == "last")
                #expect(try await onThread { try peer.receiveToEnd() }.isEmpty, "an orderly end")
                peer.close()
                listener.close()
            }
        }

        @Test func `a client whose body ends with the cancellation is cut`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                let made = Promise<Connection>()
                let session = Task.detached {
                    try await aio.connect(to: listener.endpoint) { connection in
                        made.put(connection)
                        _ = try await connection.read()
                    }
                }
                let connection = await made.value()
                let peer = try listener.accept()
                #expect(await eventually { connection.readIsWaiting })
                session.cancel()
                #expect(await outcome { try await session.value }.isCancellation)
                await #expect(throws: Errno.connectionReset) {
                    try await onThread { try peer.receiveToEnd() }
                }
                peer.close()
                listener.close()
            }
        }

        @Test func `a task that was cancelled before does not connect`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                let cancelled = Promise<Void>()
                let session = Task.detached {
                    await cancelled.value()
                    _ = try await aio.connect(to: listener.endpoint) { _ in Issue.record("connected") }
                }
                session.cancel()
                cancelled.put(())
                #expect(await outcome { try await session.value }.isCancellation)
                #expect(aio.statistics.connections == 0 && aio.statistics.total.connected == 0)
                listener.close()
            }
        }

        @Test func `an attempt to connect is cancelled at once, and leaves nothing`() async throws {
            // A full queue of connections: the kernel answers nobody else.
            let listener = try RawListener(backlog: 0)
            let waiting = try (0..<8).map { _ in try RawPeer(connectingTo: listener.endpoint, waits: false) }
            defer { for peer in waiting { peer.close() } }
            try #require(try !waiting[7].isReady(Int32(POLLOUT), within: 0))
            try await withProactor(.testing()) { aio in
                for isScoped in [true, false] {
                    let session = Task.detached {
                        if isScoped {
                            _ = try await aio.connect(to: listener.endpoint) { _ in Issue.record("connected")
                            }
                        } else {
                            _ = try await aio.connect(to: listener.endpoint)
                        }
                    }
                    #expect(await eventually { aio.statistics.connections == 1 })
                    session.cancel()
                    #expect(await outcome { try await session.value }.isCancellation)
                    #expect(await eventually { aio.statistics.connections == 0 })
                }
                #expect(aio.statistics.total.connected == 0)
            }
            listener.close()
        }

        @Test func `a cancellation that races the connecting leaves no connection behind`() async throws {
            let rounds = isSanitized ? 50 : 300
            var generator = SeededGenerator(state: testSeed())
            try await withProactor(.testing()) { aio in
                let server = try await aio.listen(on: "127.0.0.1:0")
                async let report = server.serve { connection in
                    _ = await outcome { try await connection.read() }
                }
                for _ in 0..<rounds {
                    let endpoint = server.endpoint
                    let session = Task.detached {
                        try await aio.connect(to: endpoint) { connection in _ = try await connection.read() }
                    }
                    for _ in 0..<Int.random(in: 0..<20, using: &generator) { await Task.yield() }
                    session.cancel()
                    #expect(await outcome { try await session.value }.isCancellation)
                }
                #expect(await eventually { aio.statistics.connections == 0 })
                server.drain(within: .seconds(5))
                #expect(try await report.cut == 0)
            }
        }
    }
}
