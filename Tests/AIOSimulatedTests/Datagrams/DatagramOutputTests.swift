// What becomes of datagrams while the kernel takes none, and its send buffer empties only when the test says so.

import AIO
import AIOKernel
import Testing

@testable import AIOTesting
@testable import AIOWorkers

@Suite struct DatagramOutputTests {
    /// A socket on a host whose kernel has room for four datagrams and lets none leave by itself.
    ///
    /// Sendable, unchecked: of one simulation's thread.
    private struct Blocked: @unchecked Sendable {
        let world: Simulation
        let socket: DatagramSocket
        let kernelSide: SimulatedDatagramSocket
        private let target: Endpoint

        init(_ world: Simulation, _ host: NetworkHost, _ aio: Proactor, isConnected: Bool, queue: Int)
            async throws
        {
            self.world = world
            target = .ip(.loopbackV4, port: 9)
            let options = DatagramOptions.with { $0.outboundDatagramsMax = queue }
            socket =
                isConnected
                ? try await aio.connect(udp: target, options: options)
                : try await aio.bind(udp: "127.0.0.1:0", options: options)
            kernelSide = try #require(host.kernel.datagramSockets.first)
        }

        private var isConnected: Bool { socket.peer != nil }

        func trySend(_ number: Int) -> DatagramOutcome {
            isConnected ? socket.trySend("\(number)") : socket.trySend("\(number)", to: target)
        }

        func send(_ number: Int) async throws {
            if isConnected {
                try await socket.send("\(number)")
            } else {
                try await socket.send("\(number)", to: target)
            }
        }

        /// What has left the kernel.
        var departed: [Int] {
            kernelSide.departed.compactMap { Int(String(decoding: $0, as: UTF8.self)) }
        }
    }

    private func withBlocked(
        isConnected: Bool = true, queue: Int, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (Blocked) async throws -> Void
    ) async throws {
        try await withSimulation { world in
            var options = SimulatedKernelOptions.roomy
            options.sendBufferDatagramsMax = 4
            options.holdsDatagrams = true
            let host = world.makeHost(named: "program", options: options)
            try await host.withProactor { aio in
                let blocked = try await Blocked(world, host, aio, isConnected: isConnected, queue: queue)
                let patience = Patience(world, aio, within: .seconds(4), sourceLocation)
                defer { patience.end() }
                try await body(blocked)
                patience.check()
            }
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: [true, false])
    func `while the kernel takes no more, datagrams wait in order, then sends do, and none is lost`(
        isConnected: Bool
    ) async throws {
        // Four in the kernel's buffer, eight in the queue, and eight that wait in line.
        try await withBlocked(isConnected: isConnected, queue: 8) { blocked in
            let (world, core) = (blocked.world, blocked.socket.core)
            for number in 0..<8 { #expect(blocked.trySend(number) == .queued) }
            #expect(blocked.trySend(8).refusal == .limitReached)
            await world.settle()
            #expect(blocked.kernelSide.refusalCount == 1, "one look, and then it waits for the edge")
            for number in 8..<12 { #expect(blocked.trySend(number) == .queued) }
            try await withThrowingTaskGroup { group in
                for number in 12..<20 {
                    group.addTask { try await blocked.send(number) }
                    await world.settle()
                }
                #expect(blocked.trySend(20).refusal == .limitReached)
                await world.settle()
                #expect(
                    blocked.kernelSide.refusalCount == 1, "the kernel was asked again though it had said no")
                let statistics = core.statistics
                #expect(statistics.sent == 4 && statistics.outboundCount == 8 && statistics.sendsRefused == 2)
                #expect(core.waitingSendCount == 8)

                // Not writable yet: more than half of the buffer is in use.
                blocked.kernelSide.depart()
                await world.settle()
                #expect(core.statistics.sent == 4)
                while blocked.kernelSide.depart() { await world.settle() }
                #expect(core.waitingSendCount == 0)
                try await group.waitForAll()
            }
            #expect(blocked.departed == Array(0..<20))
            let statistics = core.statistics
            #expect(statistics.sent == 20 && statistics.outboundCount == 0)
            #expect(statistics.sendErrors == 0 && statistics.sendsDropped == 0)
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a send that is cancelled while the kernel takes no more has sent nothing, others have`()
        async throws
    {
        try await withBlocked(queue: 1) { blocked in
            let world = blocked.world
            for number in 0..<5 {
                #expect(blocked.trySend(number) == .queued)
                await world.settle()
            }
            let cancelled = Task(executorPreference: world.taskExecutor) { try await blocked.send(99) }
            await world.settle()
            async let last: Void = blocked.send(5)
            await world.settle()
            cancelled.cancel()
            #expect(await code { try await cancelled.value } == .cancelled)
            while blocked.kernelSide.depart() { await world.settle() }
            try await last
            #expect(blocked.departed == Array(0..<6))
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `a socket that closes while the kernel takes no more drops and counts what was queued`() async throws
    {
        try await withBlocked(queue: 8) { blocked in
            for number in 0..<8 { #expect(blocked.trySend(number) == .queued) }
            await blocked.world.settle()
            for number in 8..<12 { #expect(blocked.trySend(number) == .queued) }
            async let waiting = code { try await blocked.send(12) }
            await blocked.world.settle()
            await blocked.socket.close()
            #expect(await waiting == .closed)
            while blocked.kernelSide.depart() {}
            #expect(blocked.departed == Array(0..<4))
            let statistics = blocked.socket.statistics
            #expect(statistics.sent == 4 && statistics.sendsDropped == 8 && statistics.outboundCount == 0)
        }
    }

    /// The edge may come at any moment: between the refusal and the arming, for one.
    @Test(.simulated(seeds: 0..<100), arguments: [true, false])
    func `whenever the kernel takes more again, the rest goes out, in order`(isConnected: Bool) async throws {
        let count = 60
        try await withBlocked(isConnected: isConnected, queue: 8) { blocked in
            let clock = blocked.world.clock
            // Pauses of the one and of the other, which are as long as a few steps.
            let end = clock.now.advanced(by: .seconds(1))
            async let sent: Void = {
                for number in 0..<count {
                    while blocked.trySend(number) != .queued {
                        try #require(clock.now < end)
                        try await clock.sleep(for: .microseconds(5))
                    }
                    if number % 7 == 0 { try await clock.sleep(for: .microseconds(number)) }
                }
            }()
            async let left: Void = {
                while blocked.departed.count < count {
                    try #require(clock.now < end)
                    if !blocked.kernelSide.depart() { try await clock.sleep(for: .microseconds(3)) }
                    if blocked.departed.count % 5 == 0 { try await clock.sleep(for: .microseconds(11)) }
                }
            }()
            _ = try await (sent, left)
            #expect(blocked.departed == Array(0..<count))
            #expect(blocked.kernelSide.refusalCount > 0, "the kernel's buffer was full")
        }
    }
}
