// The inside of a proxy: bytes, ends, resets and slowness pass through it both ways.

import AIO
import AIOKernel
import AIOTesting
import Testing

@testable import AIOWorkers

@Suite struct RelayTests {
    /// The two connections of a proxy, as the relay sees them, and the scripts beyond them.
    private struct Ends {
        let world: Simulation
        let aio: Proactor
        let client: MockPeer
        let upstream: MockPeer
        let first: Connection
        let second: Connection
    }

    /// Runs a proxy for one client, with `script` at both far sides; what the relay reports, or throws.
    private func proxied(
        over road: Road = .tcp, _ executor: HandlerExecutor = .worker, arrival: Arrival = .asSent,
        limits: ConnectionLimits = ConnectionLimits(), within limit: Duration = .seconds(4),
        relaying: @escaping @Sendable (Connection, Connection) async throws -> RelayReport = relay,
        _ script: (Ends) async throws -> Void
    ) async throws -> RelayReport {
        let world = try #require(Simulation.current)
        let upstream = try road.farHost(of: world).listen(on: road.farEndpoint, arrival: arrival)
        let made = Promise<Connection>()
        var options = ServerOptions.on(executor)
        options.connection = limits
        var clientOptions = ClientOptions()
        clientOptions.executor = executor
        clientOptions.connection = limits
        return try await serving(over: road, options, arrival: arrival, within: limit) {
            [clientOptions] first in
            try await first.proactor!.connect(to: upstream.endpoint, options: clientOptions) { second in
                made.put(second)
                return try await relaying(first, second)
            }
        } peer: { stage in
            let far = try await upstream.accept()
            try await script(
                Ends(
                    world: world, aio: stage.aio, client: stage.peer, upstream: far, first: stage.connection,
                    second: try await made.value()))
            far.close()
        }
    }

    @Test(.simulated(seeds: 0..<6), arguments: HandlerExecutor.everywhere, [Arrival.drawn, .chaos])
    func `bytes go both ways at once, and are counted`(_ executor: HandlerExecutor, _ arrival: Arrival)
        async throws
    {
        let forward = 150_000
        let backward = forward / 2 + 1
        let report = try await proxied(executor, arrival: arrival) { ends in
            async let sentBack: Void = ends.upstream.sendTape(backward)
            try await ends.client.sendTape(forward)
            try await sentBack
            ends.client.halfClose()
            ends.upstream.halfClose()
            #expect(try await ends.upstream.receiveTape() == forward)
            #expect(try await ends.client.receiveTape() == backward)
        }
        var expected = RelayReport()
        expected.forward = UInt64(forward)
        expected.backward = UInt64(backward)
        #expect(report == expected)
    }

    @Test(.simulated(seeds: 0..<20), arguments: [true, false], HandlerExecutor.everywhere)
    func `the end of one side is passed on, and the other direction stays open`(
        clientEnds: Bool, _ executor: HandlerExecutor
    ) async throws {
        let report = try await proxied(executor, within: .seconds(301)) { ends in
            let (ending, staying) = clientEnds ? (ends.client, ends.upstream) : (ends.upstream, ends.client)
            try await ending.send("request")
            ending.halfClose()
            #expect(try await staying.receiveToEnd() == "request")
            for word in ["the ", "long ", "answer"] as [Bytes] {
                try await ends.world.advance(by: .seconds(100))
                try await staying.send(word)
                try await ending.expect(word)
            }
            staying.halfClose()
            try await ending.expectEnd()
        }
        #expect(report.failure == nil)
        #expect(report.forward == (clientEnds ? 7 : 15))
        #expect(report.backward == (clientEnds ? 15 : 7))
    }

    @Test(.simulated(seeds: 0..<20), arguments: [true, false], HandlerExecutor.everywhere)
    func `a reset is passed on, and reported as what it was`(byClient: Bool, _ executor: HandlerExecutor)
        async throws
    {
        let report = try await proxied(executor) { ends in
            let (resetting, other) = byClient ? (ends.client, ends.upstream) : (ends.upstream, ends.client)
            try await resetting.send("before")
            try await other.expect("before")
            await ends.world.settle()
            #expect(ends.first.readIsWaiting && ends.second.readIsWaiting)
            resetting.reset()
            try await other.expectReset()
        }
        #expect(report.failure?.code == .connectionReset)
        #expect(report.forward + report.backward == 6)
    }

    @Test(.simulated(seeds: 0..<10), arguments: HandlerExecutor.everywhere, Road.allCases)
    func `a slow side slows the other, and little is held`(_ executor: HandlerExecutor, _ road: Road)
        async throws
    {
        let limits = ConnectionLimits.with {
            $0.receiveWindow = 32_768
            $0.highWaterMark = 32_768
            $0.lowWaterMark = 16_384
        }
        let report = try await proxied(over: road, executor, limits: limits) { ends in
            ends.upstream.stall()
            // The upstream kernel's buffers, the queue for it up to its mark and a window more, and a window.
            let most = kernelByteCount + 3 * 32_768
            let taken = try await ends.client.expectBackpressure(
                atMost: most, sending: Tape.bytes(count: 8_192))
            let total = ends.aio.statistics.total
            #expect(taken == Int(total.bytesReceived))
            #expect(total.bytesSent <= UInt64(kernelByteCount))
            #expect(ends.second.pendingByteCount > 16_384 && ends.second.pendingByteCount <= 2 * 32_768)
            #expect(total.bytesReceived - total.bytesSent <= 3 * 32_768)
            ends.client.halfClose()
            ends.client.resume()
            ends.upstream.resume()
            let received = try await ends.upstream.receiveToEnd()
            #expect(received.count == ends.client.sentByteCount)
            ends.upstream.halfClose()
            try await ends.client.expectEnd()
        }
        #expect(report.forward > kernelByteCount && report.failure == nil)
    }

    // MARK: Cancelling

    /// A relay in a task of its own, beside a handler that goes on after it.
    private final class Relaying: Sendable {
        let begun = Promise<Task<RelayReport, any Error>>()
        let ended = Promise<Outcome<RelayReport>>()
        let mayEnd = Promise<Void>()

        func run(_ first: Connection, _ second: Connection) async throws -> RelayReport {
            let task = Task(executorPreference: first.core.homeExecutors.task) {
                try await relay(first, second)
            }
            begun.put(task)
            ended.put(await outcome { try await task.value })
            try await mayEnd.value()
            return RelayReport()
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere)
    func `a relay that is cancelled while nothing comes leaves both connections as they were`(
        _ executor: HandlerExecutor
    ) async throws {
        let relaying = Relaying()
        _ = try await proxied(executor, relaying: relaying.run) { ends in
            try await ends.client.send("one")
            try await ends.upstream.expect("one")
            await ends.world.settle()
            #expect(ends.first.readIsWaiting && ends.second.readIsWaiting)
            try await relaying.begun.value().cancel()
            #expect(try await relaying.ended.value().isCancellation)
            try await ends.client.send("two")
            #expect(try await ends.first.read() == "two")
            try await ends.first.write("to client")
            try await ends.second.write("to upstream")
            try await ends.client.expect("to client")
            try await ends.upstream.expect("to upstream")
            relaying.mayEnd.keep()
        }
    }

    @Test(.simulated(seeds: 0..<10), arguments: HandlerExecutor.everywhere, Road.allCases)
    func `a relay that is cancelled while it waits for room loses nothing of what it has read`(
        _ executor: HandlerExecutor, _ road: Road
    ) async throws {
        let limits = ConnectionLimits.with {
            $0.highWaterMark = 16_384
            $0.lowWaterMark = 8_192
        }
        let relaying = Relaying()
        _ = try await proxied(
            over: road, executor, arrival: .together, limits: limits, relaying: relaying.run
        ) {
            ends in
            let count = 300_000
            ends.upstream.stall()
            async let sent: Void = ends.client.sendTape(count)
            await ends.world.settle()
            #expect(ends.second.waiterCount == 1)
            try await relaying.begun.value().cancel()
            #expect(try await relaying.ended.value().isCancellation)
            // What the relay had not read is read here, and goes behind what it had.
            async let forwarded: Void = {
                while let bytes = try await ends.first.read() { try await ends.second.write(bytes) }
                ends.second.finish()
            }()
            ends.upstream.resume()
            try await ends.upstream.expectTape(count)
            try await sent
            ends.client.halfClose()
            try await forwarded
            try await ends.upstream.expectEnd()
            relaying.mayEnd.keep()
        }
    }
}
