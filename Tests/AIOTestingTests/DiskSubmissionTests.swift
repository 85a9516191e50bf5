// The other half of the table of DiskBehaviourTests.swift: what io_setup(2) and io_submit(2) themselves say,
// of Linux and of the simulated kernel.

import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

private let pageBytes = [UInt8](repeating: 7, count: 4_096)

@Suite struct DiskSubmissionTests {
    // MARK: Requests that are wrong

    @Test(arguments: DiskKernel.here)
    func `an error is about the first request, and behind it nothing is taken`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let file = try bench.open(), readOnly = try bench.open(.readOnly)
        let requests = [
            try bench.read(512, at: 0, of: file), try bench.write(1, count: 512, at: 0, to: readOnly),
            try bench.read(512, at: 512, of: file),
        ]
        let context = try bench.kernel.makeDiskContext(requestsMax: 8)
        #expect(bench.kernel.submit(requests, to: context).count == 1)
        #expect(requests[1...].allSatisfy { $0.buffer.contents.count == 512 }, "they were given back")
        for _ in 0..<10 {
            let result = bench.kernel.submit(Array(requests[1...]), to: context)
            #expect(result.errno == .badFileDescriptor)
        }
        #expect(try bench.finish(1, in: context).map(\.result.count) == [512])
        #expect(bench.kernel.submit([], to: context) == CallResult(rawValue: 0))
        #expect(bench.trace.violations.isEmpty)
    }

    @Test(arguments: DiskKernel.here)
    func `a file is read and written by whoever opened it for that`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let readOnly = try bench.open(.readOnly), writeOnly = try bench.open(.writeOnly)
        let read = try bench.read(512, at: 0, of: readOnly)
        let write = try bench.write(1, count: 512, at: 0, to: writeOnly)
        #expect(try bench.run(read, write).allSatisfy { $0.result.count == 512 })
        #expect(
            try bench.submit(bench.read(512, at: 0, of: writeOnly)).call.errno == .badFileDescriptor)
        #expect(
            try bench.submit(bench.write(1, count: 512, at: 0, to: readOnly)).call.errno == .badFileDescriptor
        )
    }

    @Test(arguments: DiskKernel.here)
    func `a request that ends behind the last offset there can be is refused`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let file = try bench.open()
        for request in [
            try bench.read(512, at: .max - 511, of: file),
            try bench.write(1, count: 512, at: .max - 511, to: file),
        ] {
            let result = try bench.submit(request)
            #expect(result.call.errno == .invalidArgument && result.atOnce.isEmpty)
        }
    }

    @Test(arguments: DiskKernel.here)
    func `what is no file is refused, and so is a signal that is no event counter`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let epoll = SharedDescriptor(try bench.kernel.makeEpoll()), file = try bench.open()
        let read = try bench.submit(bench.read(512, at: 0, of: epoll))
        #expect(read.call.errno == .invalidArgument && read.atOnce.isEmpty)
        let request = DiskRequest(
            .read, target: file, offset: 0, buffer: try DiskBuffer(byteCount: 512), byteCount: 512,
            completionSignal: file, isNonblocking: false)
        let signalled = try bench.submit(request)
        #expect(signalled.call.errno == .invalidArgument && signalled.atOnce.isEmpty)
        #expect(request.buffer.contents.count == 512)
        // The engine does neither, so the simulation remembers.
        #expect(bench.trace.violations.count == (which == .simulated ? 2 : 0))
    }

    @Test(arguments: DiskKernel.here)
    func `epoll does not take a file`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let epoll = try bench.kernel.makeEpoll(), file = try bench.open(direct: false)
        let error = try #require(throws: AIOError.self) {
            try bench.kernel.add(file.descriptor, to: epoll, interest: .readable, token: 1)
        }
        let detail = "add descriptor \(file.descriptor.number)"
        #expect(error == AIOError(errno: .notPermitted, call: "epoll_ctl", detail: detail))
    }

    @Test(arguments: DiskKernel.inMemory)
    func `a file system without RWF_NOWAIT says so to the call`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes, directory: "/dev/shm")
        bench.simulated?.disk.takesNonblocking = false
        let file = try bench.open(direct: false)
        for request in [
            try bench.read(512, at: 0, of: file, nonblocking: true),
            try bench.write(1, count: 512, at: 0, to: file, nonblocking: true),
        ] {
            let result = try bench.submit(request)
            #expect(result.call.errno == .notSupported && result.atOnce.isEmpty)
        }
        #expect(try bench.run(bench.write(1, count: 512, at: 0, to: file)).map(\.result.count) == [512])
    }

    // MARK: Contexts

    @Test(arguments: DiskKernel.here)
    func `a context is full until its completions are reaped`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let file = try bench.open()
        let requests = try (0..<3).map { _ in try bench.read(512, at: 0, of: file) }
        let context = try bench.kernel.makeDiskContext(requestsMax: 2)
        #expect(bench.kernel.submit(requests, to: context).count == 2, "as many as it has room for")
        #expect(requests[2].buffer.contents.count == 512, "it was given back")
        #expect(bench.kernel.submit([requests[2]], to: context).wouldBlock)
        // Completed and not reaped is no room.
        bench.simulated?.diskQueue?.step()
        bench.simulated?.diskQueue?.step()
        #expect(bench.kernel.submit([requests[2]], to: context).wouldBlock)
        #expect(try bench.finish(2, in: context).count == 2)
        #expect(bench.kernel.submit([requests[2]], to: context).count == 1)
        #expect(try bench.finish(1, in: context).map(\.request).first === requests[2])
    }

    @Test(arguments: DiskKernel.here)
    func `a context that ends with requests in flight gives everything back`(which: DiskKernel) throws {
        let bench = try DiskBench(which)
        let buffers = try (1...4).map { try DiskBuffer(filledWith: UInt8($0), count: 1 << 16) }
        weak var forgotten: DiskRequest?
        do {
            let file = try bench.open(), context = try bench.kernel.makeDiskContext(requestsMax: 4)
            let requests = buffers.enumerated().map { index, buffer in
                DiskRequest(
                    .write, target: file, offset: Int64(index << 16), buffer: buffer, byteCount: 1 << 16,
                    completionSignal: bench.signal, isNonblocking: false)
            }
            forgotten = requests[3]
            #expect(bench.kernel.submit(requests, to: context).count == 4)
        }
        #expect(forgotten == nil)
        #expect(buffers.allSatisfy { $0.contents.count == 1 << 16 })
        #expect(try bench.contents == (1...4).flatMap { [UInt8](repeating: $0, count: 1 << 16) })
        if let simulated = bench.simulated {
            #expect(simulated.openDescriptors == ["3 (EventCounter)", "4 (EpollSet)"], "the file was closed")
            #expect(bench.trace.violations.isEmpty)
        }
    }

    @Test(arguments: DiskKernel.here)
    func `a context has its limits, and says which`(which: DiskKernel) throws {
        let bench = try DiskBench(which)
        func error(_ requestsMax: Int) throws -> AIOError {
            try #require(throws: AIOError.self) {
                _ = try bench.kernel.makeDiskContext(requestsMax: requestsMax).identity
            }
        }
        for count in [0, -1, .max, .min] {
            let detail = "\(count) disk requests at once; expected 1 to \(CInt.max)"
            let expected = AIOError(
                .invalidArgument, errno: .invalidArgument, call: "io_setup", detail: detail)
            #expect(try error(count) == expected)
        }
        let tooLarge = AIOError(
            errno: .invalidArgument, call: "io_setup", detail: "4194305 disk requests at once")
        #expect(try error(4_194_305) == tooLarge, "more than a ring can be long")
        let systemMax = try bench.diskRequestsMax
        if systemMax < 4_194_304 {
            let none = try error(systemMax + 1)
            #expect(none.code == .diskRequestLimit && none.errno == .resourceTemporarilyUnavailable)
            let detail =
                "\(systemMax + 1) disk requests at once; the system-wide limit fs.aio-max-nr is \(systemMax), of"
            #expect(none.detail?.hasPrefix(detail) == true, "\(none)")
        }
        #expect(try bench.kernel.makeDiskContext(requestsMax: 1).requestsMax == 1)
    }
}
