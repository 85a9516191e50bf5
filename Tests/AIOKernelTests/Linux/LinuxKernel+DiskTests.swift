// Linux AIO on a real file: direct, through epoll, and in order of completion.

import Glibc
import SystemPackage
import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct DiskTests {
        let kernel = LinuxKernel()
        static let blockByteCount = 4096

        /// Whether the file system of the temporary directory takes O_DIRECT; some that live in memory do
        /// not.
        static var takesDirectIO: Bool {
            guard let directory = try? TemporaryDirectory() else { return false }
            return (try? open(in: directory)) != nil
        }

        private static func open(in directory: TemporaryDirectory) throws -> SharedDescriptor {
            let path = "\(directory.path)/file"
            let number = unsafe Glibc.open(
                path, O_RDWR | O_CREAT | O_CLOEXEC | 0o40000 /* O_DIRECT */, 0o600)
            guard number >= 0 else { throw Errno(rawValue: errno) }
            return SharedDescriptor(Descriptor(number: number, kernel: LinuxKernel()))
        }

        /// Submits all, then waits on epoll for the event counter until all have completed.
        private func run(
            _ requests: [DiskRequest], signal: SharedDescriptor, in context: borrowing DiskContext
        ) throws -> [DiskCompletion] {
            let epoll = try kernel.makeEpoll()
            try kernel.add(signal.descriptor, to: epoll, interest: [.readable, .edgeTriggered], token: 9)
            let submitted = kernel.submit(requests, to: context)
            #expect(submitted.count == requests.count)
            var completions: [DiskCompletion] = []
            let batch = ReadinessBatch(capacity: 1)
            while completions.count < requests.count {
                guard kernel.wait(on: epoll, into: batch, timeout: .seconds(10)).count == 1 else {
                    throw TestTimeout()
                }
                let reaped = kernel.reap(from: context, into: &completions)
                #expect(reaped.isSuccess)
            }
            return completions
        }

        @Test(.enabled(if: takesDirectIO, "the file system of /tmp refuses O_DIRECT"))
        func `direct writes and reads complete through epoll with the right contents`() throws {
            let directory = try TemporaryDirectory()
            let file = try Self.open(in: directory)
            let signal = SharedDescriptor(try kernel.makeEventCounter())
            let context = try kernel.makeDiskContext(requestsMax: 8)
            let size = Self.blockByteCount
            func requests(_ operation: DiskRequest.Operation, fill: Bool) throws -> [DiskRequest] {
                try (0..<8).map { index in
                    let buffer = try DiskBuffer(byteCount: size)
                    if fill {
                        buffer.withMutableBytes { bytes in
                            for offset in 0..<size {
                                let byte = UInt8(truncatingIfNeeded: index + offset)
                                bytes.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
                            }
                        }
                    }
                    return DiskRequest(
                        operation, target: file, offset: Int64(index * size), buffer: buffer, byteCount: size,
                        completionSignal: signal, isNonblocking: false)
                }
            }
            let written = try run(requests(.write, fill: true), signal: signal, in: context)
            #expect(written.count == 8 && written.allSatisfy { $0.result.count == size })
            let read = try run(requests(.read, fill: false), signal: signal, in: context)
            #expect(Set(read.map(\.request.offset)) == Set((0..<8).map { Int64($0 * size) }))
            for completion in read {
                let index = Int(completion.request.offset) / size
                let isRight = completion.request.buffer.withBytes { bytes in
                    (0..<size).allSatisfy { offset in
                        let byte = unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
                        return byte == UInt8(truncatingIfNeeded: index + offset)
                    }
                }
                #expect(completion.result.count == size && isRight)
            }
            #expect(kernel.submit([], to: context).count == 0)
        }

        @Test(.enabled(if: takesDirectIO, "the file system of /tmp refuses O_DIRECT"))
        func `reading past the end gives nothing, and misalignment is an error`() throws {
            let directory = try TemporaryDirectory()
            let file = try Self.open(in: directory)
            let context = try kernel.makeDiskContext(requestsMax: 2)
            let signal = SharedDescriptor(try kernel.makeEventCounter())
            func request(at offset: Int64) throws -> DiskRequest {
                DiskRequest(
                    .read, target: file, offset: offset, buffer: try DiskBuffer(byteCount: 4096),
                    byteCount: 4096,
                    completionSignal: signal, isNonblocking: true)
            }
            let block = try DiskBuffer(byteCount: 4096)
            let filling = DiskRequest(
                .write, target: file, offset: 0, buffer: block, byteCount: 4096, completionSignal: signal,
                isNonblocking: false)
            #expect(try run([filling], signal: signal, in: context).map(\.result.count) == [4096])
            let end = try run([request(at: 1 << 20)], signal: signal, in: context)
            #expect(end.map(\.result.count) == [0] && end.allSatisfy(\.result.isSuccess))
            // Some file systems say so at once, others in the completion.
            let odd = try request(at: 1)
            let submitted = kernel.submit([odd], to: context)
            if submitted.isSuccess {
                var completions: [DiskCompletion] = []
                while completions.isEmpty { _ = kernel.reap(from: context, into: &completions) }
                #expect(completions.map(\.result.errno) == [.invalidArgument])
            } else {
                #expect(submitted.errno == .invalidArgument)
            }
            odd.buffer.withBytes { _ in }
        }

        @Test func `a bad descriptor is an error about the first request, and the buffers come back`() throws
        {
            let context = try kernel.makeDiskContext(requestsMax: 2)
            let notAFile = SharedDescriptor(try kernel.makeEpoll())
            let request = DiskRequest(
                .read, target: notAFile, offset: 0, buffer: try DiskBuffer(byteCount: 1), byteCount: 1,
                completionSignal: nil, isNonblocking: false)
            for _ in 0..<5 {
                let result = kernel.submit([request], to: context)
                #expect(result.errno == .invalidArgument)
                request.buffer.withBytes { _ in }
            }
        }

        @Test(.enabled(if: takesDirectIO, "the file system of /tmp refuses O_DIRECT"))
        func `a full context takes as many as it has room for`() throws {
            let directory = try TemporaryDirectory()
            let file = try Self.open(in: directory)
            let context = try kernel.makeDiskContext(requestsMax: 2)
            let requests = try (0..<3).map { _ in
                DiskRequest(
                    .read, target: file, offset: 0, buffer: try DiskBuffer(byteCount: 4096), byteCount: 4096,
                    completionSignal: nil, isNonblocking: false)
            }
            #expect(kernel.submit(requests, to: context).count == 2)
            #expect(kernel.submit([requests[2]], to: context).wouldBlock)
            var completions: [DiskCompletion] = []
            while completions.count < 2 { _ = kernel.reap(from: context, into: &completions) }
            #expect(kernel.submit([requests[2]], to: context).count == 1)
        }

        @Test(.enabled(if: takesDirectIO, "the file system of /tmp refuses O_DIRECT"))
        func `a context that ends with requests in flight waits for them and lets go of everything`() throws {
            let directory = try TemporaryDirectory()
            weak var forgotten: DiskRequest?
            let buffer = try DiskBuffer(byteCount: 1 << 20)
            do {
                let file = try Self.open(in: directory)
                let context = try kernel.makeDiskContext(requestsMax: 1)
                let request = DiskRequest(
                    .write, target: file, offset: 0, buffer: buffer, byteCount: 1 << 20,
                    completionSignal: nil,
                    isNonblocking: false)
                forgotten = request
                let submitted = kernel.submit([request], to: context)
                #expect(submitted.count == 1)
            }
            #expect(forgotten == nil)
            buffer.withBytes { _ in }
        }

        @Test func `more requests than the system has is an error with its numbers`() throws {
            let limit = try #require(PseudoFile.number("/proc/sys/fs/aio-max-nr"))
            let error = try #require(throws: AIOError.self) {
                _ = try kernel.makeDiskContext(requestsMax: limit + 1).identity
            }
            #expect(error.code == .diskRequestLimit && error.call == "io_setup")
            #expect(error.detail?.contains("fs.aio-max-nr is \(limit)") == true, "\(error)")
            #expect(
                error.detail?.contains("fs.aio-nr") == true && error.detail?.contains("\(limit + 1)") == true)
            #expect(try kernel.makeDiskContext(requestsMax: 1).requestsMax == 1)
        }

        @Test(arguments: [0, -1, Int.max, Int.min])
        func `a number of requests that makes no sense is an error`(requestsMax: Int) throws {
            let error = try #require(throws: AIOError.self) {
                _ = try kernel.makeDiskContext(requestsMax: requestsMax).identity
            }
            #expect(error.code == .invalidArgument && error.errno == .invalidArgument)
            #expect(error.detail?.contains("\(requestsMax)") == true)
        }
    }
}
