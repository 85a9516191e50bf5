// `forEach` with lanes that really run side by side. Its ends, and when it spreads, are tested in simulation.

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

        private static let connectionCount = 40
        private static let byteCount = 30_000

        /// Connections whose clients are sending.
        private func loaded(_ aio: Proactor) async throws -> [Connection] {
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            for _ in 0..<Self.connectionCount { _ = try aio.events.connect(to: listener.endpoint) }
            var accepted: [Connection] = []
            var clients: [Connection] = []
            try await aio.run { event in
                if case .accepted(let connection) = event { accepted.append(connection) }
                if case .connected(let connection) = event { clients.append(connection) }
                return accepted.count == Self.connectionCount && clients.count == Self.connectionCount
            }
            for connection in accepted { connection.attach(Watch()) }
            for client in clients { client.send(Pattern.bytes(at: 0, count: Self.byteCount)) }
            return accepted
        }

        private func takeInOrder(_ bytes: Bytes, _ connection: Connection) async throws {
            let watch = try #require(connection.attached(as: Watch.self))
            let wasBusy = watch.isBusy.exchange(true, ordering: .relaxed)
            #expect(!wasBusy, "two lanes have one connection")
            let position = watch.position.load(ordering: .relaxed)
            #expect(Pattern.matches(bytes, at: position))
            for _ in 0..<20 { await Task.yield() }
            watch.position.store(position + bytes.count, ordering: .relaxed)
            watch.isBusy.store(false, ordering: .relaxed)
        }

        @Test func `each connection's events are in order and one at a time, in four lanes`() async throws {
            try await withProactor(.testing { $0.slabByteCount = 4_096 }) { aio in
                let connections = try await loaded(aio)
                let taken = Atomic<Int>(0)
                await #expect(throws: Done.self) {
                    try await aio.events.forEach(lanesMax: 4, spreadAbove: 1) { event in
                        guard case .received(let bytes, let connection) = event else { return }
                        try await takeInOrder(bytes, connection)
                        let sum = taken.wrappingAdd(bytes.count, ordering: .relaxed).newValue
                        if sum == Self.connectionCount * Self.byteCount { throw Done() }
                    }
                }
                for connection in connections {
                    let watch = try #require(connection.attached(as: Watch.self))
                    #expect(watch.position.load(ordering: .relaxed) == Self.byteCount)
                }
            }
        }
    }
}
