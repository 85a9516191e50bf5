// Many datagrams: none lost while the program keeps up, all losses counted when it does not, memory and queues
// bounded throughout.

import AIO
import AIOKernel
import AIOWorkers
import Synchronization
import Testing

extension Loopback {
    @Suite struct DatagramFlowTests {
        @Test func `ten thousand datagrams paced by answers all arrive, in order and once`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                let count = isSanitized ? 2_000 : 10_000
                let echo = Task {
                    var next = 0
                    for try await datagram in server.datagrams {
                        #expect(datagram.bytes == "\(next)")
                        next += 1
                        try await server.send(datagram.bytes, to: datagram.sender)
                    }
                    return next
                }
                // Thirty-two are under way at a time.
                var answered = 0
                for number in 0..<count {
                    try await client.send("\(number)")
                    guard number >= 32 else { continue }
                    #expect(try await client.receive()?.bytes == "\(answered)")
                    answered += 1
                }
                while answered < count {
                    #expect(try await client.receive()?.bytes == "\(answered)")
                    answered += 1
                }
                let statistics = server.statistics
                #expect(statistics.received == UInt64(count) && statistics.dropped == 0)
                #expect(statistics.kernelDropped == 0 && statistics.sendErrors == 0)
                await server.close()
                #expect(try await echo.value == count)
            }
        }

        /// Sends `count` numbered datagrams of `byteCount` to a server whose program takes none; returns when
        /// the server has read them all.
        private func flood(
            _ server: DatagramSocket, from client: DatagramSocket, count: Int, byteCount: Int
        ) async throws {
            // So many that the kernel's receive buffer holds them, whose unit is larger than their payload.
            let step = max(1, 32_000 / (byteCount + 2_000))
            for start in stride(from: 0, to: count, by: step) {
                let end = min(start + step, count)
                for number in start..<end { try await client.send(Self.payload(number, byteCount)) }
                // Paced by what the server has read, so that the kernel drops nothing.
                #expect(await eventually { server.statistics.received == UInt64(end) })
            }
        }

        private static func payload(_ number: Int, _ byteCount: Int) -> Bytes {
            Pattern.bytes(at: number * 64, count: byteCount)
        }

        @Test func `when the program lags, the newest are dropped and counted, the oldest kept`() async throws
        {
            try await withProactor(.testing()) { aio in
                var options = DatagramOptions()
                options.inboxDatagramsMax = 100
                let server = try await aio.bind(udp: "127.0.0.1:0", options: options)
                let client = try await aio.connect(udp: server.endpoint)
                try await flood(server, from: client, count: 1_000, byteCount: 50)
                #expect(server.statistics.dropped == 900 && server.statistics.inboxCount == 100)
                #expect(server.drain().map(\.bytes) == (0..<100).map { Self.payload($0, 50) })
                try await client.send("after")
                #expect(try await server.receive()?.bytes == "after")
            }
        }

        @Test func `with dropOldest the newest are kept`() async throws {
            try await withProactor(.testing()) { aio in
                var options = DatagramOptions()
                options.inboxDatagramsMax = 100
                options.whenInboxIsFull = .dropOldest
                let server = try await aio.bind(udp: "127.0.0.1:0", options: options)
                let client = try await aio.connect(udp: server.endpoint)
                try await flood(server, from: client, count: 1_000, byteCount: 50)
                #expect(server.statistics.dropped == 900 && server.statistics.inboxCount == 100)
                #expect(server.drain().map(\.bytes) == (900..<1_000).map { Self.payload($0, 50) })
            }
        }

        @Test func `what waits for the program is bounded in bytes, and so are the slabs`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                try await flood(server, from: client, count: 400, byteCount: 8_000)
                let statistics = server.statistics
                #expect(statistics.inboxCount == (1 << 20) / 8_000)
                #expect(statistics.dropped == UInt64(400 - statistics.inboxCount))
                // Eight to a slab of 64 KiB, and the one that is being filled.
                #expect(aio.statistics.total.slabsInUse <= statistics.inboxCount / 8 + 2)
                #expect(server.drain().count == statistics.inboxCount)
                #expect(await eventually { aio.statistics.total.slabsInUse <= 1 })
            }
        }

        @Test func `the worker's inbound budget limits the inbox too`() async throws {
            try await withProactor(
                .testing {
                    $0.workerCount = 1
                    $0.inboundByteCountMax = 512 << 10
                }
            ) { aio in
                var options = DatagramOptions()
                options.inboxByteCountMax = 64 << 20
                options.inboxDatagramsMax = 100_000
                let server = try await aio.bind(udp: "127.0.0.1:0", options: options)
                let client = try await aio.connect(udp: server.endpoint)
                try await flood(server, from: client, count: 400, byteCount: 8_000)
                #expect(server.statistics.dropped > 300)
                #expect(aio.statistics.total.slabsInUse <= 10)
            }
        }

        @Test func `a flood is spread over passes, and others get their turn`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                var options = DatagramOptions()
                options.receiveBufferByteCount = 4 << 20
                let flooded = try await aio.bind(udp: "127.0.0.1:0", options: options)
                let other = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.bind(udp: "127.0.0.1:0")
                let block = await BlockedWorker(client.core.worker)
                // More than a pass's budget, sent past the engine while the worker stands still.
                let raw = try RawDatagrams(connectedTo: flooded.endpoint)
                let accepted = raw.send(count: 1_000, byteCount: 20)
                try RawDatagrams(connectedTo: other.endpoint).send(count: 1, byteCount: 20)
                let polls = aio.statistics.total.polls
                block.release()
                #expect(try await other.receive()?.bytes.count == 20)
                #expect(
                    await eventually { flooded.statistics.received + flooded.statistics.kernelDropped >= 900 }
                )
                #expect(flooded.statistics.received <= UInt64(accepted))
                #expect(aio.statistics.total.polls - polls >= flooded.statistics.received / 128)
            }
        }

        @Test func `a program that sends all the time does not keep its worker from reading`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let sink = try await aio.bind(udp: "127.0.0.1:0")
                let source = try await aio.connect(udp: sink.endpoint)
                // On a thread of its own, so that there is always something submitted.
                let isOver = Flag()
                async let flood: Void = onThread { while !isOver.isSet { source.trySend("x") } }
                let polls = aio.statistics.total.polls
                #expect(await eventually { sink.statistics.received > 1_000 })
                #expect(await eventually { aio.statistics.total.polls > polls + 100 })
                isOver.set()
                try await flood
            }
        }

        @Test func `what the kernel drops is counted with the next datagram`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                var options = DatagramOptions()
                options.receiveBufferByteCount = 4_096
                let server = try await aio.bind(udp: "127.0.0.1:0", options: options)
                let block = await BlockedWorker(server.core.worker)
                let raw = try RawDatagrams(connectedTo: server.endpoint)
                raw.send(count: 200, byteCount: 1_000)
                block.release()
                #expect(await eventually { server.statistics.received > 0 })
                #expect(
                    await eventually {
                        raw.send(count: 1, byteCount: 1)
                        return server.statistics.kernelDropped > 100
                    })
            }
        }

        // MARK: The outbound queue

        private func refusal(_ outcome: DatagramOutcome) -> AIOError.Code? {
            if case .refused(let error) = outcome { error.code } else { nil }
        }

        @Test func `a full queue makes send wait in order, and trySend refuse`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                var options = DatagramOptions()
                options.outboundDatagramsMax = 4
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint, options: options)
                let block = await BlockedWorker(client.core.worker)
                for number in 0..<4 { #expect(client.trySend("\(number)") == .queued) }
                #expect(refusal(client.trySend("4")) == .limitReached)
                #expect(client.statistics.sendsRefused == 1 && client.statistics.outboundCount == 4)
                var waiting: [Task<Void, any Error>] = []
                for number in 4..<10 {
                    waiting.append(Task { try await client.send("\(number)") })
                    #expect(await eventually { client.core.waitingSendCount == number - 3 })
                }
                block.release()
                for task in waiting { try await task.value }
                for number in 0..<10 { #expect(try await server.receive()?.bytes == "\(number)") }
                #expect(client.statistics.outboundCount == 0)
            }
        }

        @Test func `the queue is bounded in bytes`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                var options = DatagramOptions()
                options.outboundByteCountMax = 100_000
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint, options: options)
                let block = await BlockedWorker(client.core.worker)
                let payload = Pattern.bytes(at: 0, count: 30_000)
                var accepted = 0
                while client.trySend(payload) == .queued { accepted += 1 }
                #expect(accepted == 3)
                #expect(client.trySend("small") == .queued)
                block.release()
                #expect(await eventually { client.statistics.sent == 4 })
            }
        }

        @Test func `a send that is cancelled while it waits was not accepted, others were`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                var options = DatagramOptions()
                options.outboundDatagramsMax = 1
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint, options: options)
                let block = await BlockedWorker(client.core.worker)
                try await client.send("first")
                let cancelled = Task { try await client.send("cancelled") }
                #expect(await eventually { client.core.waitingSendCount == 1 })
                let last = Task { try await client.send("last") }
                #expect(await eventually { client.core.waitingSendCount == 2 })
                cancelled.cancel()
                let error = await #expect(throws: AIOError.self) { try await cancelled.value }
                #expect(error?.code == .cancelled)
                block.release()
                try await last.value
                #expect(try await server.receive()?.bytes == "first")
                #expect(try await server.receive()?.bytes == "last")
                #expect(await eventually { client.statistics.sent == 2 })
                #expect(server.drain().isEmpty)
            }
        }

        @Test func `sends that are cancelled at random were each accepted wholly or not at all`() async throws
        {
            try await withProactor(.testing()) { aio in
                var options = DatagramOptions()
                options.outboundDatagramsMax = 2
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint, options: options)
                let count = 200
                let accepted = await withTaskGroup(of: Int?.self) { group in
                    for number in 0..<count {
                        group.addTask {
                            let send = Task { try await client.send("\(number)") }
                            if number.isMultiple(of: 3) { send.cancel() }
                            return if case .success = await send.result { number } else { nil }
                        }
                    }
                    return await group.reduce(into: Set<Int>()) { set, number in
                        if let number { set.insert(number) }
                    }
                }
                #expect(await eventually { server.statistics.received == UInt64(accepted.count) })
                let received = server.drain().compactMap { Int($0.bytes.text) }
                #expect(Set(received) == accepted && received.count == accepted.count)
            }
        }
    }
}

/// Set once, by one thread, and read by another.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

extension Bytes {
    fileprivate var text: String { String(decoding: self, as: UTF8.self) }
}
