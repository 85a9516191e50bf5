// Disk requests under a simulation's schedule: in virtual time, and beside threads.

import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

/// What a thread of an engine does with a disk: reads every block of a file, some at a time, and sleeps in
/// between until the event counter is signalled. Sendable, unchecked: a simulation is used by one thread.
private final class BlockReader: ThreadBody, @unchecked Sendable {
    private let kernel: SimulatedKernel
    private let file: SharedDescriptor
    private let signal: SharedDescriptor
    private let epoll: Descriptor
    private let context: DiskContext
    private let batch = ReadinessBatch(capacity: 1)
    private var toSubmit: [DiskRequest] = []
    private var isAsleep = false
    private(set) var bytes: [Int64: [UInt8]] = [:]
    private let blockCount: Int

    init(_ kernel: SimulatedKernel, path: String, blockCount: Int) throws {
        self.kernel = kernel
        self.blockCount = blockCount
        file = SharedDescriptor(try kernel.open(path, access: .readOnly, direct: true))
        signal = SharedDescriptor(try kernel.makeEventCounter())
        epoll = try kernel.makeEpoll()
        try kernel.add(signal.descriptor, to: epoll, interest: [.readable, .edgeTriggered], token: 1)
        context = try kernel.makeDiskContext(requestsMax: 3)
        for index in 0..<blockCount {
            toSubmit.append(
                DiskRequest(
                    .read, target: file, offset: Int64(index) * 512, buffer: try DiskBuffer(byteCount: 512),
                    byteCount: 512, completionSignal: signal, isNonblocking: true))
        }
    }

    func step() -> ThreadStep {
        if isAsleep {
            isAsleep = false
            _ = kernel.wait(on: epoll, into: batch, timeout: nil)
            var completions: [DiskCompletion] = []
            _ = kernel.reap(from: context, into: &completions)
            for completion in completions where completion.result.count == 512 {
                bytes[completion.request.offset] = completion.request.buffer.contents
            }
            return bytes.count == blockCount ? .finished : .proceed
        }
        let taken = kernel.submit(toSubmit, to: context).count
        toSubmit.removeFirst(taken)
        if taken > 0, !toSubmit.isEmpty { return .proceed }
        isAsleep = true
        return .wait(epoll: epoll.number, deadline: nil)
    }
}

@Suite struct DiskScheduleTests {
    @Test func `a request takes its time, and time passes for it`() throws {
        let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 512))
        let kernel = try #require(bench.simulated), file = try bench.open()
        kernel.disk.latency = .milliseconds(5) ... .milliseconds(9)
        let context = try kernel.makeDiskContext(requestsMax: 1)
        let queue = try #require(kernel.diskQueue), start = kernel.now
        #expect(!queue.canStep && queue.deadline == nil && !queue.isAlive && queue.waitsFor == nil)
        var delays: Set<UInt64> = []
        for _ in 0..<20 {
            let before = kernel.now
            #expect(kernel.submit([try bench.read(512, at: 0, of: file)], to: context).count == 1)
            let due = try #require(queue.deadline)
            delays.insert(due.nanoseconds(since: before))
            kernel.network.time.advance(to: MonotonicTime(nanoseconds: due.nanoseconds - 1))
            #expect(!queue.canStep)
            queue.step()
            #expect(queue.deadline == due && queue.waitsFor == nil)
            kernel.network.time.advance(to: due)
            #expect(queue.canStep)
            queue.step()
            #expect(queue.waitsFor == "has done 1 requests whose completions nobody has reaped")
            _ = try bench.finish(1, in: context)
        }
        #expect(delays.count > 10 && delays.allSatisfy { (5_000_000...9_000_000).contains($0) })
        #expect(kernel.now.nanoseconds(since: start) >= 100_000_000)
    }

    /// The trace of a machine whose one thread reads a file.
    private func runReader(seed: UInt64) throws -> SimulationTrace {
        let simulation = Simulation(seed: seed)
        let server = simulation.makeHost(named: "server")
        let contents = (0..<10).flatMap { [UInt8](repeating: $0, count: 512) }
        server.kernel.disk.makeFile(at: "/data", contents: contents)
        server.kernel.disk.latency = .milliseconds(1) ... .milliseconds(3)
        do {
            let reader = try BlockReader(server.kernel, path: "/data", blockCount: 10)
            let thread = try server.host.startThread(named: "reader", reader)
            let start = simulation.time.now
            thread.join()
            #expect(simulation.scheduler.failure == nil, "seed \(seed): \(simulation.trace.tail())")
            #expect(
                simulation.time.now.nanoseconds(since: start) >= 4_000_000,
                "three at a time, a millisecond each")
            for index in 0..<10 {
                let block = [UInt8](repeating: UInt8(index), count: 512)
                #expect(reader.bytes[Int64(index) * 512] == block, "seed \(seed)")
            }
        }
        #expect(simulation.trace.violations.isEmpty, "seed \(seed): \(simulation.trace.violations)")
        return simulation.trace
    }

    @Test(arguments: UInt64(0)..<30)
    func `a thread that waits for the event counter is woken by completions`(seed: UInt64) throws {
        let trace = try runReader(seed: seed)
        #expect(trace.lines.contains { $0.who == "server/disk" && $0.what.hasPrefix("read of 512 bytes") })
        #expect(try runReader(seed: seed).digest == trace.digest, "seed \(seed): the same again")
    }

    @Test func `the digest is another with another seed`() throws {
        #expect(Set(try (UInt64(0)..<10).map { try runReader(seed: $0).digest }).count == 10)
    }
}
