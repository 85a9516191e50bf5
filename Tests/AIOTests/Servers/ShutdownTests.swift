// The end of a proactor whose servers run, as far as it takes real threads: those that handlers hold, and those that are to
// be gone. The rest is in Tests/AIOSimulatedTests/Servers/ShutdownTests.swift.

import AIOBytes
import AIOKernel
import AIOWorkers
import Testing

@testable import AIO

extension Loopback {
    @Suite struct ShutdownTests {
        private func threadsAreGone() async -> Bool {
            await eventually { ProcessHoldings.now().threads.isEmpty }
        }

        @Test func `handlers that do not end are an error of shutdown, and the threads end when they do`()
            async throws
        {
            let gate = Gate()
            let aio = try Proactor(
                .testing {
                    $0.shutdownTimeout = .milliseconds(50)
                    $0.report = { _ in }
                })
            let serving = try await aio.serving { _ in await gate.wait() }
            let peers = try (0..<3).map { _ in try RawPeer(connectingTo: serving.endpoint) }
            try await gate.arrived(3)
            let error = await #expect(throws: AIOError.self) { try await aio.shutdown() }
            #expect(error?.code == .handlersStillRunning)
            #expect(gate.count == 3)
            gate.open()
            let report = try await serving.report
            #expect(report.accepted == 3 && report.completed == 3 && report.cut == 3)
            #expect(await threadsAreGone(), "without another shutdown")
            try await aio.shutdown()
            for await event in aio.events { Issue.record("\(event.name)") }
            for peer in peers { peer.close() }
        }

        @Test(arguments: [HandlerExecutor.worker, .partner])
        func `a handler that blocks its thread does not hold up shutdown's deadline`(
            executor: HandlerExecutor
        ) async throws {
            let gate = ThreadGate()
            let aio = try Proactor(
                .testing {
                    $0.shutdownTimeout = .milliseconds(50)
                    $0.workerCount = 1
                    $0.report = { _ in }
                })
            let serving = try await aio.serving(.testing { $0.executor = executor }) { _ in gate.wait() }
            let peer = try RawPeer(connectingTo: serving.endpoint)
            try await gate.arrived()
            #expect(await errorCode { try await aio.shutdown() } == .handlersStillRunning)
            #expect(gate.count == 1)
            gate.open()
            try await aio.shutdown()
            #expect(try await serving.report.completed == 1)
            #expect(await threadsAreGone())
            peer.close()
        }

        @Test func `a proactor that is dropped while a server runs cuts it, and serve returns`() async throws
        {
            let serving: Serving
            let peer: RawPeer
            do {
                let aio = try Proactor(.testing { $0.report = { _ in } })
                serving = try await aio.serving { try await $0.echo() }
                let endpoint = serving.endpoint
                peer = try await onThread {
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.exchange("?") == "?")
                    return peer
                }
            }
            try await onThread { () throws in
                #expect(peer.seesReset())
                peer.close()
            }
            #expect(try await serving.report.accepted == 1)
            #expect(await threadsAreGone())
        }

        /// What the watchdog was still to call, the deadlines of the drain and of the shutdown, once held the engine.
        @Test(arguments: HandlerExecutor.all)
        func `nothing of a proactor whose server served is left after its shutdown`(executor: HandlerExecutor)
            async throws
        {
            let ends = Arrivals()
            try await serveAndShutDown(executor, ends)
            // The engine's, and the server's.
            try await ends.reached(2)
        }

        /// A function of its own, so that nothing of the proactor lives on in its caller's frame.
        private func serveAndShutDown(_ executor: HandlerExecutor, _ ends: Arrivals) async throws {
            let aio = try Proactor(.holding(Canary(ends)) { $0.shutdownTimeout = .seconds(600) })
            let canary = Canary(ends)
            let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                withExtendedLifetime(canary) {}
                try await connection.echo()
            }
            let endpoint = serving.endpoint
            try await onThread { () throws in
                let peer = try RawPeer(connectingTo: endpoint)
                #expect(try peer.exchange("?") == "?")
                peer.close()
            }
            try await aio.shutdown()
            #expect(try await serving.report.accepted == 1)
        }

        /// The thread for late jobs ends when it has had none for a while, which is what this test then waits for.
        @Test func `a job that comes after its worker's end is run all the same`() async throws {
            let aio = try Proactor(.testing())
            let gate = Gate()
            let names = Recorder<String>()
            let tasks = aio.engine.workers.map { worker in
                Task.detached(executorPreference: worker.executors.task) {
                    names.add(threadName())
                    await gate.wait()
                    names.add(threadName())
                    for _ in 0..<100 { await Task.yield() }
                    return worker.index
                }
            }
            try await gate.arrived(2)
            #expect(Set(names.values) == ["aio-0", "aio-1"])
            try await aio.shutdown()
            gate.open()
            for (index, task) in tasks.enumerated() { #expect(await task.value == index) }
            #expect(Array(names.values.dropFirst(2)) == ["aio-late", "aio-late"])
        }
    }
}
