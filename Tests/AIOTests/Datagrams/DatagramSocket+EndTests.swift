// Cancelling, closing, shutting down: who waits is told, nothing is lost that was promised, nothing stays open.

import AIO
import AIOKernel
import AIOWorkers
import Testing

extension Loopback {
    @Suite struct DatagramEndTests {
        private func code(_ body: () async throws(AIOError) -> Void) async -> AIOError.Code? {
            do throws(AIOError) { try await body() } catch { return error.code }
            return nil
        }

        @Test func `a cancelled receive loses nothing`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                let pending = Task { try await server.receive() }
                #expect(await eventually { server.core.hasSuspendedReader })
                pending.cancel()
                let error = await #expect(throws: AIOError.self) { try await pending.value }
                #expect(error?.code == .cancelled)
                try await client.send("still there")
                #expect(try await server.receive()?.bytes == "still there")
            }
        }

        @Test func `receives cancelled at any moment lose nothing`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                let count = isSanitized ? 200 : 1_000
                var next = 0
                for number in 0..<count {
                    let receive = Task { try await server.receive() }
                    try await client.send("\(number)")
                    if number.isMultiple(of: 2) { await Task.yield() }
                    receive.cancel()
                    if let datagram = try? await receive.value {
                        try #require(datagram.bytes == "\(next)")
                        next += 1
                    }
                    // The kernel's receive buffer holds some hundreds, and drops the rest.
                    guard number.isMultiple(of: 16) else { continue }
                    #expect(await eventually { server.statistics.received == number + 1 })
                }
                while next < count {
                    try #require(try await server.receive()?.bytes == "\(next)")
                    next += 1
                }
                #expect(server.statistics.dropped == 0)
            }
        }

        @Test func `cancelling ends an iteration, and a later one goes on`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                let iteration = Task { for try await _ in server.datagrams {} }
                #expect(await eventually { server.core.hasSuspendedReader })
                iteration.cancel()
                try await iteration.value
                try await client.send("for the next")
                for try await datagram in server.datagrams {
                    #expect(datagram.bytes == "for the next")
                    break
                }
            }
        }

        @Test func `a second receive is an error, and the first goes on`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                let first = Task { try await server.receive() }
                #expect(await eventually { server.core.hasSuspendedReader })
                #expect(
                    await code { () throws(AIOError) in _ = try await server.receive() } == .invalidArgument)
                try await client.send("for the first")
                #expect(try await first.value?.bytes == "for the first")
            }
        }

        @Test func `closing ends a pending receive with nil and pending sends with closed`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                var options = DatagramOptions()
                options.outboundDatagramsMax = 1
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint, options: options)
                let receive = Task { try await client.receive() }
                #expect(await eventually { client.core.hasSuspendedReader })
                let block = await BlockedWorker(client.core.worker)
                try await client.send("queued")
                let send = Task { try await client.send("waits") }
                #expect(await eventually { client.core.waitingSendCount == 1 })
                let close = Task { await client.close() }
                #expect(try await receive.value == nil)
                let error = await #expect(throws: AIOError.self) { try await send.value }
                #expect(error?.code == .closed)
                block.release()
                await close.value
                await client.close()
                // What was queued went out before the end.
                #expect(try await server.receive()?.bytes == "queued")
                #expect(client.statistics.sent == 1 && client.statistics.sendsDropped == 0)
                #expect(await code { () throws(AIOError) in try await client.send("late") } == .closed)
                #expect(
                    await code { () throws(AIOError) in try client.joinMulticast(.v4(239, 1, 1, 1)) }
                        == .closed)
                #expect(try await client.receive() == nil)
            }
        }

        @Test func `what waits for the program is dropped by closing, and counted`() async throws {
            try await withProactor(.testing()) { aio in
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                for _ in 0..<5 { try await client.send("x") }
                #expect(await eventually { server.statistics.inboxCount == 5 })
                await server.close()
                #expect(try await server.receive() == nil && server.drain().isEmpty)
                #expect(server.statistics.dropped == 5)
            }
        }

        @Test func `shutdown ends a pending receive, and leaves what came before to be taken`() async throws {
            let aio = try Proactor(.testing())
            let first = try await aio.bind(udp: "127.0.0.1:0")
            let second = try await aio.bind(udp: "127.0.0.1:0")
            let pending = Task { try await first.receive() }
            #expect(await eventually { first.core.hasSuspendedReader })
            try await first.send("before the end", to: second.endpoint)
            #expect(await eventually { second.statistics.inboxCount == 1 })
            try await aio.shutdown()
            #expect(try await pending.value == nil)
            #expect(try await second.receive()?.bytes == "before the end")
            #expect(try await second.receive() == nil)
            #expect(
                await code { () throws(AIOError) in try await first.send("x", to: second.endpoint) }
                    == .closed)
            await second.close()
        }

        @Test func `shutdown in the middle of traffic ends everybody`() async throws {
            for _ in 0..<10 {
                let aio = try Proactor(.testing())
                let server = try await aio.bind(udp: "127.0.0.1:0")
                let client = try await aio.connect(udp: server.endpoint)
                let echo = Task {
                    for try await datagram in server.datagrams {
                        server.trySend(datagram.bytes, to: datagram.sender)
                    }
                }
                let sender = Task { while case .queued = client.trySend("ping") { await Task.yield() } }
                let reader = Task { for try await _ in client.datagrams {} }
                #expect(await eventually { client.statistics.received > 10 })
                try await aio.shutdown()
                _ = await (echo.result, sender.result, reader.result)
            }
        }

        @Test func `a socket that nobody holds any more is closed`() async throws {
            try await withProactor(.testing()) { aio in
                var socket: DatagramSocket? = try await aio.bind(udp: "127.0.0.1:0")
                let endpoint = try #require(socket?.endpoint)
                socket = nil
                var again: DatagramSocket?
                let clock = ContinuousClock()
                let deadline = clock.now.advanced(by: .seconds(20))
                while again == nil, clock.now < deadline { again = try? await aio.bind(udp: endpoint) }
                #expect(again?.endpoint == endpoint)
            }
        }
    }
}
