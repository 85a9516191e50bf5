// Accepted connections on their way to the task that takes them: in order, each once, and an end that comes last.

import AIOKernel
import Testing

@testable import AIOWorkers

@Suite struct AcceptQueueTests {
    /// A worker's place for connections that no worker knows of.
    private func withEngine(_ body: (Engine, ConnectionSink) async throws -> Void) async throws {
        var configuration = EngineConfiguration()
        configuration.workerCount = 1
        let engine = try Engine(configuration: configuration, kernel: LinuxKernel(), host: PthreadHost())
        try await body(engine, ConnectionSink(place: .global, limits: ConnectionLimits(), observer: nil))
        await withCheckedContinuation { continuation in
            engine.end(gracefully: false) { continuation.resume() }
        }
        engine.joinThreads()
    }

    private func connection(_ id: UInt64, _ engine: Engine, _ sink: ConnectionSink) -> ConnectionCore {
        ConnectionCore(dialling: id, worker: engine.workers[0], sink: sink, target: .ip(.loopbackV4, port: 1))
    }

    @Test func `what was put before is taken in order, then the end for ever`() async throws {
        try await withEngine { engine, sink in
            let queue = AcceptQueue()
            queue.end()
            for id in 1...10 { queue.put(connection(UInt64(id), engine, sink), on: engine.workers[0]) }
            for expected in 1...10 { #expect(await queue.next()?.id == UInt64(expected)) }
            for _ in 0..<3 { #expect(await queue.next() == nil) }
        }
    }

    @Test func `a task that waits gets everything that any thread puts, each once`() async throws {
        try await withEngine { engine, sink in
            let queue = AcceptQueue()
            let taking = Task {
                var ids: [UInt64] = []
                while let connection = await queue.next() { ids.append(connection.id) }
                return ids
            }
            let worker = engine.workers[0]
            try onThreads(4) { index in
                for number in 0..<1_000 {
                    queue.put(
                        ConnectionCore(
                            dialling: UInt64(index * 1_000 + number), worker: worker, sink: sink,
                            target: .ip(.loopbackV4, port: 1)), on: worker)
                    if number % 10 == 0 { letOthersRun() }
                }
            }
            queue.end()
            let ids = await taking.value
            #expect(ids.sorted() == Array(0..<4_000))
            for index in UInt64(0)..<4 {
                let ofThread = ids.filter { $0 / 1_000 == index }
                #expect(ofThread == ofThread.sorted(), "each thread's in their order")
            }
        }
    }
}
