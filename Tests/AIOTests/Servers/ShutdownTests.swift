// The end of a proactor whose servers run: gracefully if they let it, and in bounded time if they do not.

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

        @Test(arguments: ServeTests.executors)
        func `shutdown lets handlers finish, and serve returns its report`(executor: HandlerExecutor)
            async throws
        {
            let aio = try Proactor(.testing { $0.shutdownTimeout = .seconds(600) })
            let gate = Gate()
            let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                for try await chunk in connection.chunks {
                    await gate.wait()
                    try await connection.write(chunk)
                }
            }
            let peer = try RawPeer(connectingTo: serving.endpoint)
            try peer.send("reply")
            #expect(await eventually { gate.count == 1 })
            let ending = Task { try await aio.shutdown() }
            #expect(await eventually { isRefused(serving.endpoint) })
            gate.open()
            try await onThread { () throws in
                #expect(try peer.receiveToEnd() == Array("reply".utf8))
                peer.close()
            }
            try await ending.value
            let report = try await serving.report
            #expect(report.completed == report.accepted && report.failed == 0 && report.cut == 0)
            #expect(await threadsAreGone())
        }

        @Test(arguments: ServeTests.executors)
        func `what has not ended by the shutdown's timeout is cut and cancelled`(executor: HandlerExecutor)
            async throws
        {
            let aio = try Proactor(
                .testing {
                    $0.shutdownTimeout = .milliseconds(100)
                    $0.report = { _ in }
                })
            let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                try await connection.write("here")
                try await Task.sleep(for: .seconds(600))
            }
            let endpoint = serving.endpoint
            let peer = try await onThread {
                let peer = try RawPeer(connectingTo: endpoint)
                #expect(try peer.receiveText(4) == "here")
                return peer
            }
            try await aio.shutdown()
            #expect(try await serving.report == .of(accepted: 1, failed: 1, openAtDrain: 1, cut: 1))
            try await onThread { () throws in
                #expect(peer.seesReset())
                peer.close()
            }
        }

        @Test(arguments: ServeTests.executors)
        func `handlers that do not end are an error of shutdown, and the threads end when they do`(
            executor: HandlerExecutor
        ) async throws {
            let gate = Gate()
            let aio = try Proactor(
                .testing {
                    $0.shutdownTimeout = .milliseconds(50)
                    $0.report = { _ in }
                })
            let serving = try await aio.serving(.testing { $0.executor = executor }) { _ in await gate.wait()
            }
            let peers = try (0..<3).map { _ in try RawPeer(connectingTo: serving.endpoint) }
            #expect(await eventually { gate.count == 3 })
            let error = await #expect(throws: AIOError.self) { try await aio.shutdown() }
            #expect(error?.code == .handlersStillRunning)
            #expect(gate.count == 3)
            gate.open()
            #expect(try await serving.report == .of(accepted: 3, completed: 3, openAtDrain: 3, cut: 3))
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
            #expect(await eventually { gate.count == 1 })
            #expect(await errorCode { try await aio.shutdown() } == .handlersStillRunning)
            #expect(gate.count == 1)
            gate.open()
            try await aio.shutdown()
            #expect(try await serving.report.completed == 1)
            #expect(await threadsAreGone())
            peer.close()
        }

        @Test func `cancelling shutdown skips the graceful part of servers too`() async throws {
            let aio = try Proactor(
                .testing {
                    $0.shutdownTimeout = .seconds(600)
                    $0.report = { _ in }
                })
            let serving = try await aio.serving { _ in try await Task.sleep(for: .seconds(600)) }
            let peer = try RawPeer(connectingTo: serving.endpoint)
            #expect(await eventually { aio.statistics.connections == 1 })
            let ending = Task { try await aio.shutdown() }
            #expect(await eventually { isRefused(serving.endpoint) })
            ending.cancel()
            try await ending.value
            let report = try await serving.report
            #expect(report.failed == report.accepted && report.cut >= 1)
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
        @Test(arguments: ServeTests.executors)
        func `nothing of a proactor whose server served is left after its shutdown`(executor: HandlerExecutor)
            async throws
        {
            let left = try await servedAndShutDown(executor)
            #expect(await eventually { left.proactor == nil && left.engine == nil && left.server == nil })
        }

        private struct Left {
            weak var proactor: Proactor?
            weak var engine: Engine?
            weak var server: ServerCore?
        }

        /// A function of its own, so that nothing of the proactor lives on in its caller's frame.
        private func servedAndShutDown(_ executor: HandlerExecutor) async throws -> Left {
            let aio = try Proactor(.testing { $0.shutdownTimeout = .seconds(600) })
            let serving = try await aio.serving(.testing { $0.executor = executor }) { try await $0.echo() }
            let endpoint = serving.endpoint
            try await onThread { () throws in
                let peer = try RawPeer(connectingTo: endpoint)
                #expect(try peer.exchange("?") == "?")
                peer.close()
            }
            try await aio.shutdown()
            #expect(try await serving.report.accepted == 1)
            return Left(proactor: aio, engine: aio.engine, server: serving.server.core)
        }

        @Test func `servers come and go with their proactors, whatever runs`() async throws {
            for round in 0..<(isSanitized ? 6 : 30) {
                let aio = try Proactor(
                    .testing {
                        $0.workerCount = 1 + round % 3
                        $0.report = { _ in }
                    })
                let executor = ServeTests.executors[round % 3]
                let serving = try await aio.serving(.testing { $0.executor = executor }) {
                    try await $0.echo()
                }
                let peers = try (0..<round % 5).map { _ in try RawPeer(connectingTo: serving.endpoint) }
                for peer in peers { try peer.send("?") }
                for peer in peers.prefix(2) { peer.close() }
                let ending = Task { try await aio.shutdown() }
                if round.isMultiple(of: 4) { ending.cancel() }
                try await ending.value
                // The shutdown may have come before `serve`.
                let code = await errorCode { _ = try await serving.report }
                #expect(code == nil || code == .shutDown)
                for peer in peers { peer.close() }
            }
            #expect(await threadsAreGone())
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
            #expect(await eventually { gate.count == 2 })
            #expect(Set(names.values) == ["aio-0", "aio-1"])
            try await aio.shutdown()
            gate.open()
            for (index, task) in tasks.enumerated() { #expect(await task.value == index) }
            #expect(Array(names.values.dropFirst(2)) == ["aio-late", "aio-late"])
        }
    }
}
