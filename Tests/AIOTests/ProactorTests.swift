// Beginning and ending, as far as threads and memory of the process are concerned: a proactor that is dropped, what is left of
// one that was shut down, the scoped form. Shutdown in every situation is in Tests/AIOSimulatedTests/ProactorTests.swift.

import Testing

@testable import AIO

extension Loopback {
    @Suite struct ProactorTests {
        private struct Failure: Error {}

        /// A thread that was joined is listed for a moment longer.
        private func threadsAreGone() async -> Bool {
            await eventually(within: .seconds(1)) { ProcessHoldings.now().threads.isEmpty }
        }

        @Test func `a configuration that makes no sense names the setting`() throws {
            let error = try #require(throws: AIOError.self) { try Proactor(.testing { $0.workerCount = 0 }) }
            #expect(error.code == .invalidArgument && error.detail?.contains("workerCount is 0") == true)
            #expect(throws: AIOError.self) { try Proactor(.testing { $0.connection.lowWaterMark = 1 << 20 }) }
            #expect(throws: AIOError.self) { try Proactor(.testing { $0.slabByteCount = 100 }) }
        }

        @Test func `connections that the kernel had queued see an end at shutdown, and no reset`()
            async throws
        {
            for _ in 0..<3 {
                let aio = try Proactor(.testing())
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let peers = try (0..<40).map { _ in try RawPeer(connectingTo: listener.endpoint) }
                async let ended: Void = aio.shutdown()
                let resets = try await onThread {
                    peers.filter { peer in
                        defer { peer.close() }
                        return (try? peer.receiveToEnd()) == nil
                    }.count
                }
                #expect(resets == 0)
                try await ended
            }
        }

        @Test func `a proactor that is dropped ends its threads and cuts its connections`() async throws {
            let before = ProcessHoldings.now()
            var listener: RawListener? = try RawListener()
            let endpoint = try #require(listener?.endpoint)
            do {
                let aio = try Proactor(.testing())
                try await aio.events.listen(on: "127.0.0.1:0")
                let client = try aio.events.connect(to: endpoint)
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                try aio.events.schedule(after: .seconds(1_000), tag: 1)
                try aio.events.post("never taken")
            }
            let peer = try #require(try listener?.accept())
            #expect(throws: (any Error).self) { try peer.receiveToEnd() }
            peer.close()
            listener = nil
            #expect(await eventually { ProcessHoldings.now().isWithin(before) })
        }

        @Test func `what is asked of connections and timers after the end keeps nothing alive`() async throws
        {
            let ends = Arrivals()
            do {
                let aio = try Proactor(.holding(Canary(ends)))
                let pair = try await aio.pair()
                let timer = try aio.events.schedule(after: .seconds(1_000), tag: 1)
                try await aio.shutdown()
                for connection in [pair.client, pair.server] {
                    connection.finish()
                    connection.close()
                }
                timer.cancel()
                try await aio.shutdown()
            }
            try await ends.reached(1)
        }

        @Test func `what a dropped proactor held goes with it`() async throws {
            let ends = Arrivals()
            do {
                let aio = try Proactor(.testing())
                let pair = try await aio.pair()
                try aio.events.post(Canary(ends))
                pair.server.attach(Canary(ends))
            }
            try await ends.reached(2)
        }

        @Test func `many proactors come and go`() async throws {
            for index in 0..<(isSanitized ? 20 : 100) {
                let aio = try Proactor(.testing { $0.workerCount = 1 + index % 3 })
                if index.isMultiple(of: 2) { try await aio.events.listen(on: "127.0.0.1:0") }
                try await aio.shutdown()
            }
            #expect(await threadsAreGone())
        }

        @Test func `the scoped form returns the body's value, and shuts down when the body throws`()
            async throws
        {
            #expect(try await withProactor(.testing()) { _ in 42 } == 42)
            #expect(await threadsAreGone())
            await #expect(throws: Failure.self) {
                try await withProactor(.testing()) { aio in
                    _ = try await aio.pair()
                    throw Failure()
                }
            }
            #expect(await threadsAreGone())
            await #expect(throws: AIOError.self) {
                try await withProactor(.testing { $0.workerCount = -1 }) { _ in }
            }
        }
    }
}
