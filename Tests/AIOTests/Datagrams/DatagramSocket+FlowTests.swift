// Many datagrams at full speed over real sockets. What is dropped, counted and bounded when somebody lags is tested in
// simulation (Tests/AIOSimulatedTests/Datagrams).

import AIO
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

        @Test func `a program that sends all the time does not keep its worker from reading`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let sink = try await aio.bind(udp: "127.0.0.1:0")
                let source = try await aio.connect(udp: sink.endpoint)
                // On a thread of its own, so that there is always something submitted.
                let isOver = Flag()
                async let flood: Void = onThread { while !isOver.isSet { source.trySend("x") } }
                // Many more than the inbox holds.
                for _ in 0..<10_000 { _ = try await sink.receive() }
                isOver.set()
                try await flood
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
