// `forEach`: lanes, order, and its ends.

import AIO
import Synchronization
import Testing

extension Loopback {
    @Suite struct ForEachTests {
        private struct Done: Error {}

        /// What one connection's events must be like: one at a time, in order.
        private final class Watch: Sendable {
            let isBusy = Atomic<Bool>(false)
            let position = Atomic<Int>(0)
        }

        /// How many bodies run at once.
        private final class Crowd: Sendable {
            private let present = Atomic<Int>(0)
            let peak = Atomic<Int>(0)

            func enter() {
                let now = present.wrappingAdd(1, ordering: .relaxed).newValue
                peak.max(now, ordering: .relaxed)
            }

            func leave() { present.wrappingSubtract(1, ordering: .relaxed) }
        }

        /// A number that lanes add to.
        private final class Tally: Sendable {
            private let number = Atomic<Int>(0)
            var value: Int { number.load(ordering: .relaxed) }

            /// Returns the sum so far.
            @discardableResult
            func add(_ amount: Int) -> Int { number.wrappingAdd(amount, ordering: .relaxed).newValue }
        }

        private static let connectionCount = 40
        private static let byteCount = 30_000

        /// Connections whose clients have sent everything, in part received already, and not yet taken.
        private func loaded(_ aio: Proactor) async throws -> [Connection] {
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            var accepted: [Connection] = []
            var connected = 0
            for _ in 0..<Self.connectionCount { _ = try aio.events.connect(to: listener.endpoint) }
            var clients: [Connection] = []
            try await aio.run { event in
                if case .accepted(let connection) = event { accepted.append(connection) }
                if case .connected(let connection) = event {
                    clients.append(connection)
                    connected += 1
                }
                return accepted.count == Self.connectionCount && connected == Self.connectionCount
            }
            for connection in accepted { connection.attach(Watch()) }
            for client in clients { client.send(Pattern.bytes(at: 0, count: Self.byteCount)) }
            let all = UInt64(Self.connectionCount * Self.byteCount)
            #expect(await eventually { aio.statistics.total.bytesReceived == all })
            return accepted
        }

        private func takeInOrder(_ bytes: Bytes, _ connection: Connection) async throws -> Int {
            let watch = try #require(connection.attached(as: Watch.self))
            let wasBusy = watch.isBusy.exchange(true, ordering: .relaxed)
            #expect(!wasBusy, "two lanes have one connection")
            let position = watch.position.load(ordering: .relaxed)
            #expect(Pattern.matches(bytes, at: position))
            for _ in 0..<20 { await Task.yield() }
            watch.position.store(position + bytes.count, ordering: .relaxed)
            watch.isBusy.store(false, ordering: .relaxed)
            return bytes.count
        }

        @Test(arguments: [1, 4]) func `each connection's events are in order and one at a time, with lanes:`(
            _ lanesMax: Int
        ) async throws {
            try await withProactor(.testing { $0.slabByteCount = 4_096 }) { aio in
                let connections = try await loaded(aio)
                let crowd = Crowd()
                let taken = Tally()
                await #expect(throws: Done.self) {
                    try await aio.events.forEach(lanesMax: lanesMax, spreadAbove: 4) { event in
                        guard case .received(let bytes, let connection) = event else { return }
                        crowd.enter()
                        defer { crowd.leave() }
                        // The first waits until it has company: no other way to know that lanes run side by
                        // side.
                        if lanesMax > 1 { _ = await eventually { crowd.peak.load(ordering: .relaxed) > 1 } }
                        let count = try await takeInOrder(bytes, connection)
                        if taken.add(count) == Self.connectionCount * Self.byteCount { throw Done() }
                    }
                }
                #expect(taken.value == Self.connectionCount * Self.byteCount)
                for connection in connections {
                    #expect(
                        connection.attached(as: Watch.self)?.position.load(ordering: .relaxed)
                            == Self.byteCount)
                }
                let peak = crowd.peak.load(ordering: .relaxed)
                if lanesMax == 1 { #expect(peak == 1) } else { #expect(peak > 1 && peak <= lanesMax) }
            }
        }

        @Test func `below spreadAbove nothing is spread`() async throws {
            try await withProactor(.testing()) { aio in
                _ = try await loaded(aio)
                let crowd = Crowd()
                let taken = Tally()
                await #expect(throws: Done.self) {
                    try await aio.events.forEach(lanesMax: 4, spreadAbove: 1_000) { event in
                        guard case .received(let bytes, let connection) = event else { return }
                        crowd.enter()
                        defer { crowd.leave() }
                        let count = try await takeInOrder(bytes, connection)
                        if taken.add(count) == Self.connectionCount * Self.byteCount { throw Done() }
                    }
                }
                #expect(crowd.peak.load(ordering: .relaxed) == 1)
            }
        }

        @Test
        func `a body that throws stops all lanes, and the next iteration gets everything that was left`()
            async throws
        {
            try await withProactor(.testing { $0.slabByteCount = 4_096 }) { aio in
                _ = try await loaded(aio)
                let taken = Tally()
                let calls = Tally()
                for round in 1...5 {
                    await #expect(throws: Done.self) {
                        try await aio.events.forEach(lanesMax: 4, spreadAbove: 4) { event in
                            guard case .received(let bytes, let connection) = event else { return }
                            let count = try await takeInOrder(bytes, connection)
                            taken.add(count)
                            if calls.add(1) >= 10 * round { throw Done() }
                        }
                    }
                }
                var total = taken.value
                #expect(total < Self.connectionCount * Self.byteCount)
                for await event in aio.events {
                    guard case .received(let bytes, let connection) = event else { continue }
                    total += try await takeInOrder(bytes, connection)
                    if total >= Self.connectionCount * Self.byteCount { break }
                }
                #expect(total == Self.connectionCount * Self.byteCount)
                #expect(aio.events.drain().isEmpty)
            }
        }

        @Test func `cancelling the task ends it, asleep or at work`() async throws {
            try await withProactor(.testing { $0.slabByteCount = 4_096 }) { aio in
                _ = try await loaded(aio)
                let taken = Tally()
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        await #expect(throws: Never.self) {
                            try await aio.events.forEach(lanesMax: 4, spreadAbove: 4) { event in
                                guard case .received(let bytes, let connection) = event else { return }
                                let count = try await takeInOrder(bytes, connection)
                                // In the middle of the work each lane waits for the cancellation.
                                if taken.add(count) > 100_000 {
                                    while !Task.isCancelled { await Task.yield() }
                                }
                            }
                        }
                    }
                    _ = await eventually { taken.value > 100_000 }
                    group.cancelAll()
                }
                var total = taken.value
                #expect(total < Self.connectionCount * Self.byteCount)
                for await event in aio.events {
                    guard case .received(let bytes, let connection) = event else { continue }
                    total += try await takeInOrder(bytes, connection)
                    if total >= Self.connectionCount * Self.byteCount { break }
                }
                #expect(total == Self.connectionCount * Self.byteCount)

                let asleep = Task.detached { try await aio.events.forEach { _ in } }
                asleep.cancel()
                await #expect(throws: Never.self) { try await asleep.value }
            }
        }

        @Test func `forEach returns when the stream ends, with each connection's closed told`() async throws {
            try await withProactor(.testing()) { aio in
                _ = try await loaded(aio)
                let closed = Tally()
                async let ended: Void = aio.shutdown()
                try await aio.events.forEach(lanesMax: 4, spreadAbove: 4) { event in
                    if event.name == "closed" { closed.add(1) }
                }
                try await ended
                #expect(closed.value == 2 * Self.connectionCount)
            }
        }
    }
}
