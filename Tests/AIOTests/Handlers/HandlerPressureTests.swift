// Actors as handlers under load: back-pressure, actors that many connections share, and a flooded one.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

/// Takes bytes only while its gate is open.
private actor Slow: ConnectionHandler {
    nonisolated let connection: Connection
    private let gate: Gate
    private let taken: Recorder<Int>

    init(_ connection: Connection, _ gate: Gate, _ taken: Recorder<Int>) {
        self.connection = connection
        self.gate = gate
        self.taken = taken
    }

    func dataReceived(_ bytes: Bytes) async throws {
        await gate.wait()
        taken.add(bytes.count)
    }
}

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
        @Test(arguments: ServeTests.executors)
        func `while a call waits, the window fills and the peer is stopped`(executor: HandlerExecutor)
            async throws
        {
            let window = 32_768
            try await withProactor(.testing()) { aio in
                let (gate, taken) = (Gate(), Recorder<Int>())
                let options = ServerOptions.testing {
                    $0.executor = executor
                    $0.connection = .testing { $0.receiveWindow = window }
                }
                let serving = try await aio.serving(options, actor: { Slow($0, gate, taken) })
                let endpoint = serving.endpoint
                let (peer, pushed) = try await onThread {
                    let peer = try RawPeer(connectingTo: endpoint)
                    return (peer, try peer.push(upTo: 64 << 20))
                }
                #expect(pushed < 64 << 20, "the kernel's buffers are full")
                // One call has a window's bytes at most, and as many wait for the next.
                let read = aio.statistics.total.bytesReceived
                #expect(read > 0 && read <= 2 * window)
                #expect(aio.statistics.total.readPauses > 0)
                gate.open()
                try await onThread { () throws in
                    peer.finish()
                    #expect(try peer.seesEnd())
                    peer.close()
                }
                _ = try await serving.drained()
                #expect(taken.values.reduce(0, +) == pushed)
            }
        }

        @Test(arguments: ServeTests.executors)
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

        @Test func `homes go round the workers`() async throws {
            try await withProactor(.testing { $0.workerCount = 3 }) { aio in
                let homes = (0..<6).map { _ in ObjectIdentifier(aio.nextHome().executors) }
                #expect(Set(homes).count == 3 && Array(homes.prefix(3)) == Array(homes.suffix(3)))
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
                #expect(await eventually { gate.count == 1 })
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
