// Actors under the load of many threads: one that many connections share, and a flooded one. Back-pressure is in
// Tests/AIOSimulatedTests/Handlers/HandlerPressureTests.swift.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

/// Shared by many connections.
private actor Counter: WorkerActor {
    nonisolated let home: Home
    private(set) var value = 0
    private(set) var strays = 0
    private let thread: String

    init(_ aio: Proactor, on worker: Int) {
        var home = aio.nextHome()
        while home.executors !== aio.engine.workers[worker].executors { home = aio.nextHome() }
        self.home = home
        thread = "aio-\(worker)"
    }

    func increment() -> Int {
        if threadName() != thread { strays += 1 }
        value += 1
        return value
    }
}

/// Is called more often than its worker should run in one go.
private actor Flooded: WorkerActor {
    nonisolated let home: Home
    private let count: Sum

    init(_ home: Home, count: Sum) {
        self.home = home
        self.count = count
    }

    /// Blocks the worker until everything is prepared, and then has it called so often, by tasks of its own.
    func flood(_ callCount: Int, after gate: ThreadGate) -> [Task<Void, Never>] {
        gate.wait()
        return (0..<callCount).map { _ in Task { call() } }
    }

    private func call() { count.add(1) }
}

/// A number that several threads add to.
private final class Sum: @unchecked Sendable {
    private let lock = PosixLock()
    /// Under `lock`.
    private var number = 0
    func add(_ more: Int) { lock.withLock { number += more } }
    var value: Int { lock.withLock { number } }
}

extension Loopback {
    @Suite struct HandlerPressureTests {
        @Test(arguments: HandlerExecutor.all)
        func `an actor that many connections share counts every call, on its own thread`(
            executor: HandlerExecutor
        ) async throws {
            let (peerCount, callCount) = (8, isSanitized ? 50 : 500)
            try await withProactor(.testing()) { aio in
                let counters = [Counter(aio, on: 0), Counter(aio, on: 1)]
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    while let request = try await connection.read(exactly: 1) {
                        for counter in counters { _ = await counter.increment() }
                        if !connection.isAtHome(executor) { Issue.record("came back on \(threadName())") }
                        try await connection.write(request)
                    }
                }
                let endpoint = serving.endpoint
                try await withThrowingTaskGroup(of: Void.self) { clients in
                    for _ in 0..<peerCount {
                        clients.addTask {
                            try await onThread { () throws in
                                let peer = try RawPeer(connectingTo: endpoint)
                                for _ in 0..<callCount { #expect(try peer.exchange("+") == "+") }
                                peer.close()
                            }
                        }
                    }
                    try await clients.waitForAll()
                }
                for counter in counters {
                    #expect(await counter.value == peerCount * callCount)
                    #expect(await counter.strays == 0)
                }
                _ = try await serving.drained()
            }
        }

        /// The worker is held until everything is there: bytes of a peer, and more calls than it may run in a pass.
        @Test func `a flooded actor holds its worker no longer than a pass's jobs`() async throws {
            let callCount = isSanitized ? 10_000 : 100_000
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let calls = Sum()
                let jobsAtEcho = Recorder<UInt64>()
                let serving = try await aio.serving { connection in
                    for try await chunk in connection.chunks {
                        jobsAtEcho.add(connection.core.worker.counters.jobs.current)
                        try await connection.write(chunk)
                    }
                }
                let endpoint = serving.endpoint
                let peer = try await onThread {
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.exchange("before") == "before")
                    return peer
                }
                let gate = ThreadGate()
                let flooded = Flooded(aio.nextHome(), count: calls)
                async let flood = flooded.flood(callCount, after: gate)
                try await gate.arrived()
                try peer.send("during")
                let before = aio.statistics.total.polls
                let jobsBefore = aio.engine.workers[0].counters.jobs.current
                gate.open()
                for call in await flood { await call.value }
                let polls = aio.statistics.total.polls - before
                #expect(calls.value == callCount)
                try await onThread { () throws in
                    #expect(try peer.receiveText(6) == "during")
                    peer.close()
                }
                let served = try #require(jobsAtEcho.values.last) - jobsBefore
                #expect(jobsAtEcho.count == 2 && served <= 4 * 512, "\(served) jobs came before the echo")
                #expect(Int(polls) >= callCount / 512)
                _ = try await serving.drained()
            }
        }
    }
}
