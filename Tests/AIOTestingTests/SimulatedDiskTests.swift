// Disk requests on the simulated kernel: what is drawn, what a rule does, what takes time, and what it does
// not let pass.

import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

@Suite struct SimulatedDiskTests {
    // MARK: Order

    /// In which order eight requests complete that were submitted together.
    private func order(seed: UInt64) throws -> [Int] {
        let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 4_096), seed: seed)
        let file = try bench.open(), context = try bench.kernel.makeDiskContext(requestsMax: 8)
        let requests = try (0..<8).map { try bench.read(512, at: Int64($0) * 512, of: file) }
        #expect(bench.kernel.submit(requests, to: context).count == 8)
        return try bench.finish(8, in: context).map { Int($0.request.offset) / 512 }
    }

    @Test func `requests complete in an order that the seed draws`() throws {
        let orders = try (UInt64(0)..<20).map(order)
        #expect(Set(orders).count >= 19)
        #expect(orders.allSatisfy { $0.sorted() == Array(0..<8) })
        #expect(try (UInt64(0)..<20).map(order) == orders)
    }

    @Test func `one request completes a step, and its bytes move then and not before`() throws {
        let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 1_024))
        let kernel = try #require(bench.simulated), file = try bench.open()
        let context = try kernel.makeDiskContext(requestsMax: 8)
        let requests = [
            try bench.write(2, count: 512, at: 0, to: file),
            try bench.write(3, count: 512, at: 512, to: file),
        ]
        #expect(kernel.submit(requests, to: context).count == 2)
        var contents = try bench.contents
        #expect(contents == [UInt8](repeating: 1, count: 1_024))
        for count in 1...2 {
            kernel.diskQueue?.step()
            #expect(try bench.contents != contents)
            contents = try bench.contents
            var completions: [DiskCompletion] = []
            #expect(kernel.reap(from: context, into: &completions).count == 1, "\(count)")
        }
        #expect(kernel.diskQueue?.canStep == false)
        kernel.diskQueue?.step()
        #expect(contents == [UInt8](repeating: 2, count: 512) + [UInt8](repeating: 3, count: 512))
    }

    @Test func `io_submit takes fewer than it could, now and then, and the rest is given back`() throws {
        let bench = try DiskBench(.simulated, options: .roomy)
        let file = try bench.open()
        var counts: [Int: Int] = [:]
        for _ in 0..<200 {
            let requests = try (0..<4).map { try bench.write(1, count: 512, at: Int64($0) * 512, to: file) }
            let context = try bench.kernel.makeDiskContext(requestsMax: 8)
            let taken = bench.kernel.submit(requests, to: context).count
            counts[taken, default: 0] += 1
            #expect(requests[taken...].allSatisfy { $0.buffer.contents.count == 512 })
        }
        #expect(counts.keys.sorted() == [1, 2, 3, 4] && counts[4]! > 100)
    }

    @Test func `a buffer that is on its way cannot be used`() async {
        await #expect(processExitsWith: .failure) {
            let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 512))
            let context = try bench.kernel.makeDiskContext(requestsMax: 1)
            let read = try bench.read(512, at: 0, of: bench.open())
            _ = bench.kernel.submit([read], to: context)
            // Completed is not enough: it is lent until it is reaped.
            bench.simulated?.diskQueue?.step()
            _ = read.buffer.contents
        }
    }

    @Test func `one buffer cannot be lent to two requests`() async {
        await #expect(processExitsWith: .failure) {
            let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 512))
            let context = try bench.kernel.makeDiskContext(requestsMax: 2)
            let read = try bench.read(512, at: 0, of: bench.open())
            _ = bench.kernel.submit([read, read], to: context)
        }
    }

    // MARK: Alignment

    @Test func `a disk has the alignment that it was given`() throws {
        let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 8_192))
        let disk = try #require(bench.simulated?.disk), file = try bench.open()
        #expect(try bench.run(bench.read(512, at: 512, of: file)).map(\.result.count) == [512])
        disk.alignment = 4_096
        for (offset, count) in [(Int64(512), 4_096), (0, 512), (4_096, 4_608)] {
            let result = try bench.submit(bench.read(count, at: offset, of: file))
            #expect(result.atOnce == [CallResult(.invalidArgument)])
        }
        #expect(try bench.run(bench.read(4_096, at: 4_096, of: file)).map(\.result.count) == [4_096])
    }

    // MARK: Faults

    @Test func `a rule fails the requests that it means, and they move nothing`() throws {
        let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 4_096))
        let kernel = try #require(bench.simulated), file = try bench.open()
        var seen: [SimulatedCall] = []
        let rule = kernel.faults.add { call in
            guard call.name == .transfer, call.path == "/data" else { return nil }
            seen.append(call)
            return call.direction == .write || call.offset == 1_024 ? .fail(.ioError) : nil
        }
        let results = try bench.run(
            bench.read(512, at: 0, of: file), bench.read(2_048, at: 1_024, of: file),
            bench.write(2, count: 512, at: 0, to: file))
        for completion in results {
            let request = completion.request
            let fails = request.operation == .write || request.offset == 1_024
            #expect(completion.result == (fails ? CallResult(.ioError) : CallResult(rawValue: 512)))
        }
        let failed = results.first { $0.request.offset == 1_024 }
        #expect(failed?.request.buffer.contents.allSatisfy { $0 == 0xff } == true)
        #expect(try bench.contents == [UInt8](repeating: 1, count: 4_096))
        #expect(rule.useCount == 2 && Set(seen.map(\.byteCount)) == [512, 2_048])
        #expect(seen.count == 3 && Set(seen.map(\.offset)) == [0, 1_024])
        // The end of the file is nothing that the device would know.
        let end = try bench.run(bench.read(512, at: 4_096, of: file))
        #expect(end.map(\.result) == [CallResult(rawValue: 0)] && seen.count == 3)
    }

    @Test func `a rule makes reads and writes short`() throws {
        let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 4_096))
        let kernel = try #require(bench.simulated), file = try bench.open()
        let rule = kernel.faults.add(.transfer, .shorten(to: 1_000))
        let read = try bench.run(bench.read(4_096, at: 0, of: file))
        #expect(read.map(\.result.count) == [1_000])
        #expect(read[0].request.buffer.contents[999...1_000] == [1, 0xff])
        #expect(try bench.run(bench.write(2, count: 4_096, at: 0, to: file)).map(\.result.count) == [1_000])
        #expect(try bench.contents[999...1_000] == [2, 1])
        #expect(try bench.run(bench.read(512, at: 0, of: file)).map(\.result.count) == [512])
        rule.end()
        let least = kernel.faults.add(.transfer, .shorten(to: 0))
        #expect(try bench.run(bench.read(512, at: 0, of: file)).map(\.result.count) == [1])
        #expect(least.useCount == 1 && bench.trace.violations.isEmpty)
    }

    @Test func `a rule fails or shortens io_submit`() throws {
        let bench = try DiskBench(.simulated, contents: [UInt8](repeating: 1, count: 4_096))
        let kernel = try #require(bench.simulated), file = try bench.open()
        let requests = try (0..<4).map { try bench.read(512, at: Int64($0) * 512, of: file) }
        let context = try kernel.makeDiskContext(requestsMax: 8)
        let full = kernel.faults.add(times: 1) { call in
            call.name == .submit && call.path == "/data" && call.byteCount == 4 && call.offset == 0
                && call.direction == .read && call.isNonblocking == false
                ? .fail(.resourceTemporarilyUnavailable) : nil
        }
        #expect(kernel.submit(requests, to: context).wouldBlock && full.useCount == 1)
        #expect(requests.allSatisfy { $0.buffer.contents.count == 512 }, "they were given back")
        let short = kernel.faults.add(.submit, .shorten(to: 3))
        #expect(kernel.submit(requests, to: context).count == 3 && short.useCount == 1)
        #expect(try bench.finish(3, in: context).allSatisfy { $0.result.count == 512 })
    }

    @Test func `a rule fails io_setup`() throws {
        let bench = try DiskBench(.simulated)
        let kernel = try #require(bench.simulated)
        for (errno, code) in [
            (Errno.resourceTemporarilyUnavailable, AIOError.Code.diskRequestLimit), (.noMemory, .outOfMemory),
        ] {
            let rule = kernel.faults.add(.makeDiskContext, .fail(errno), times: 1)
            let error = try #require(throws: AIOError.self) {
                _ = try kernel.makeDiskContext(requestsMax: 1).identity
            }
            #expect(error.code == code && error.errno == errno && error.call == "io_setup")
            #expect(rule.useCount == 1)
        }
        #expect(try kernel.makeDiskContext(requestsMax: 1).requestsMax == 1)
    }

    // MARK: Limits

    @Test func `the limit of a machine is that of all its contexts together`() throws {
        var options = SimulatedKernelOptions.wholeSubmissions
        options.diskRequestsMax = 10
        let bench = try DiskBench(.simulated, options: options)
        do {
            let first = try bench.kernel.makeDiskContext(requestsMax: 4)
            let second = try bench.kernel.makeDiskContext(requestsMax: 6)
            #expect(first.identity != second.identity)
            let error = try #require(throws: AIOError.self) {
                _ = try bench.kernel.makeDiskContext(requestsMax: 1).identity
            }
            #expect(error.code == .diskRequestLimit)
            let numbers = "fs.aio-max-nr is 10, of which fs.aio-nr 10 are taken"
            #expect(error.detail?.contains(numbers) == true, "\(error)")
        }
        #expect(try bench.kernel.makeDiskContext(requestsMax: 10).requestsMax == 10)
    }

    // MARK: Violations

    @Test func `a context that is gone cannot be used, nor destroyed again`() throws {
        let bench = try DiskBench(.simulated, contents: [1])
        let kernel = bench.kernel, file = try bench.open()
        do {
            let context = try kernel.makeDiskContext(requestsMax: 1)
            kernel.destroyDiskContext(context.identity)
            let read = try bench.read(512, at: 0, of: file)
            #expect(kernel.submit([read], to: context).errno == .invalidArgument)
            #expect(read.buffer.contents.count == 512)
            var completions: [DiskCompletion] = []
            #expect(kernel.reap(from: context, into: &completions).errno == .invalidArgument)
            #expect(completions.isEmpty)
        }
        let calls = ["io_submit", "io_getevents", "io_destroy"]
        #expect(bench.trace.violations == calls.map { "test: \($0) of 1, which is no disk context" })
    }

    @Test func `a file that was closed under a request is a violation`() throws {
        let bench = try DiskBench(.simulated, contents: [1])
        let file = try bench.open()
        bench.kernel.close(file.descriptor.number)
        #expect(try bench.submit(bench.read(512, at: 0, of: file)).call.errno == .badFileDescriptor)
        #expect(bench.trace.violations == ["test: io_submit of 5, which is not an open DiskFile"])
    }
}
