// One file and what it takes to run disk requests on it, on the real kernel or on a simulated one, for tests
// that ask both the same.

import AIOKernel
import Glibc
import SystemPackage
import Testing

@testable import AIOTesting

enum DiskKernel: CaseIterable {
    case simulated
    case linux

    /// The kernels to ask: Linux too where its directory for temporary files is one of ext4, whose behaviour
    /// it is that the simulation has.
    static let here = linuxIsExt4 ? allCases : [.simulated]
    static let linuxIsExt4 = fileSystem(of: "/tmp") == "ext4"
    /// The same for what a file system in memory does.
    static let inMemory = fileSystem(of: "/dev/shm") == "tmpfs" ? allCases : [.simulated]

    /// The type of the last file system mounted there, or on what is above it (proc_pid_mounts(5)).
    private static func fileSystem(of path: String) -> String? {
        guard let mounts = try? [UInt8](contentsOf: "/proc/self/mounts") else { return nil }
        let lines = String(decoding: mounts, as: UTF8.self).split(separator: "\n").map {
            $0.split(separator: " ")
        }
        let above = lines.filter { $0[1] == "/" || $0[1] == path || path.hasPrefix("\($0[1])/") }
        let longest = above.map { $0[1].count }.max()
        return above.last { $0[1].count == longest }.map { String($0[2]) }
    }
}

extension [UInt8] {
    /// What there is to be read of a file, up to 1 MiB.
    init(contentsOf path: String) throws {
        let file = try FileDescriptor.open(FilePath(path), .readOnly)
        self = try file.closeAfter {
            var bytes = [UInt8](repeating: 0, count: 1 << 20), filled = 0
            while true {
                // SAFETY: `read` writes at most the buffer's own count.
                let count = try unsafe bytes.withUnsafeMutableBytes {
                    unsafe try file.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[filled...]))
                }
                if count == 0 { return Array(bytes[..<filled]) }
                filled += count
            }
        }
    }
}

extension SimulatedKernelOptions {
    /// What is submitted is taken, as far as there is room.
    static var wholeSubmissions: SimulatedKernelOptions {
        var options = roomy
        options.shortSubmissionsOneIn = nil
        return options
    }
}

/// A kernel with one file. On Linux the file goes with it.
final class DiskBench {
    let kernel: any Kernel
    /// nil for Linux.
    let simulated: SimulatedKernel?
    let trace = SimulationTrace()
    let path: String
    /// What the requests signal, and an epoll set that waits for it.
    let signal: SharedDescriptor
    private let epoll: Descriptor
    private let batch = ReadinessBatch(capacity: 1)

    init(
        _ which: DiskKernel, contents: [UInt8] = [], options: SimulatedKernelOptions = .wholeSubmissions,
        seed: UInt64 = 1, directory: String = "/tmp"
    ) throws {
        switch which {
        case .simulated:
            let kernel = SimulatedKernel(options: options, seed: seed, trace: trace)
            path = "/data"
            kernel.disk.makeFile(at: path, contents: contents)
            (self.kernel, simulated) = (kernel, kernel)
        case .linux:
            (kernel, simulated) = (LinuxKernel(), nil)
            path = try Self.makeTemporaryFile(in: directory, contents)
        }
        signal = SharedDescriptor(try kernel.makeEventCounter())
        epoll = try kernel.makeEpoll()
        try kernel.add(signal.descriptor, to: epoll, interest: [.readable, .edgeTriggered], token: 1)
    }

    deinit { if simulated == nil { unsafe unlink(path) } }

    private static func makeTemporaryFile(in directory: String, _ contents: [UInt8]) throws -> String {
        var template = Array("\(directory)/aio-disk-XXXXXX".utf8CString)
        let number = unsafe mkstemp(&template)
        guard number >= 0 else { throw Errno(rawValue: errno) }
        try FileDescriptor(rawValue: number).closeAfter {
            _ = try FileDescriptor(rawValue: number).writeAll(contents)
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `fs.aio-max-nr`.
    var diskRequestsMax: Int {
        get throws {
            if let simulated { return simulated.options.diskRequestsMax }
            let text = String(decoding: try [UInt8](contentsOf: "/proc/sys/fs/aio-max-nr"), as: UTF8.self)
            return try #require(Int(text.prefix { $0.isNumber }))
        }
    }

    // MARK: The file

    func open(
        _ access: FileDescriptor.AccessMode = .readWrite, direct: Bool = true
    ) throws -> SharedDescriptor {
        if let simulated {
            return SharedDescriptor(try simulated.open(path, access: access, direct: direct))
        }
        let options = FileDescriptor.OpenOptions(rawValue: O_CLOEXEC | (direct ? 0o40000 /* O_DIRECT */ : 0))
        let opened = try FileDescriptor.open(FilePath(path), access, options: options)
        return SharedDescriptor(Descriptor(number: opened.rawValue, kernel: kernel))
    }

    var contents: [UInt8] {
        get throws {
            if let simulated { return simulated.disk.contents(of: path) ?? [] }
            return try [UInt8](contentsOf: path)
        }
    }

    func truncate(to byteCount: Int64) throws {
        if let simulated { return try simulated.disk.truncate(path, to: byteCount) }
        guard unsafe Glibc.truncate(path, Int(byteCount)) == 0 else { throw Errno(rawValue: errno) }
    }

    func remove() throws {
        if let simulated { return try simulated.disk.remove(path) }
        guard unsafe unlink(path) == 0 else { throw Errno(rawValue: errno) }
    }

    // MARK: Requests

    func read(
        _ byteCount: Int, at offset: Int64, of file: SharedDescriptor, nonblocking: Bool = false
    ) throws -> DiskRequest {
        let buffer = try DiskBuffer(filledWith: 0xff, count: max(byteCount, 1))
        return DiskRequest(
            .read, target: file, offset: offset, buffer: buffer, byteCount: byteCount,
            completionSignal: signal, isNonblocking: nonblocking)
    }

    func write(
        _ byte: UInt8, count: Int, at offset: Int64, to file: SharedDescriptor, nonblocking: Bool = false
    ) throws -> DiskRequest {
        let buffer = try DiskBuffer(filledWith: byte, count: max(count, 1))
        return DiskRequest(
            .write, target: file, offset: offset, buffer: buffer, byteCount: count, completionSignal: signal,
            isNonblocking: nonblocking)
    }

    /// Submits all, waits for the event counter until all have completed.
    @discardableResult
    func run(_ requests: DiskRequest...) throws -> [DiskCompletion] {
        let context = try kernel.makeDiskContext(requestsMax: 8)
        #expect(kernel.submit(requests, to: context).count == requests.count)
        return try finish(requests.count, in: context)
    }

    /// Waits for so many completions.
    func finish(_ count: Int, in context: borrowing DiskContext) throws -> [DiskCompletion] {
        var completions: [DiskCompletion] = []
        while completions.count < count {
            if let queue = simulated?.diskQueue, queue.canStep { queue.step() }
            let timeout: Duration = simulated == nil ? .seconds(10) : .zero
            guard kernel.wait(on: epoll, into: batch, timeout: timeout).count == 1 else {
                throw AIOError(.timedOut, detail: "\(completions.count) of \(count) requests have completed")
            }
            let result = kernel.reap(from: context, into: &completions)
            #expect(result.isSuccess)
        }
        return completions
    }

    /// What the call says, and what the completions say that are there when it returns.
    func submit(_ requests: DiskRequest...) throws -> (call: CallResult, atOnce: [CallResult]) {
        let context = try kernel.makeDiskContext(requestsMax: 8)
        let call = kernel.submit(requests, to: context)
        var completions: [DiskCompletion] = []
        let reaped = kernel.reap(from: context, into: &completions)
        #expect(reaped.count == completions.count)
        return (call, completions.map(\.result))
    }
}

extension DiskBuffer {
    convenience init(filledWith byte: UInt8, count: Int) throws(AIOError) {
        try self.init(byteCount: count)
        fill(with: byte)
    }

    func fill(with byte: UInt8) {
        withMutableBytes { span in
            // SAFETY: `bytes` are those of the span; any value will do.
            unsafe span.withUnsafeMutableBytes { bytes in
                _ = unsafe bytes.initializeMemory(as: UInt8.self, repeating: byte)
            }
        }
    }

    /// Traps if it is lent.
    var contents: [UInt8] {
        // SAFETY: the copy is made inside.
        withBytes { span in unsafe span.withUnsafeBytes { unsafe Array($0) } }
    }
}
