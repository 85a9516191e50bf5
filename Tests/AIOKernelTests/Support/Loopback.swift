// What tests of real sockets share: connected pairs, waiting for readiness with a limit, bytes in and out.

import AIOBytes
import Glibc
import SystemPackage
import Testing

@testable import AIOKernel

struct TestTimeout: Error {}

/// A listener and both ends of a connection to it.
struct ConnectedPair: ~Copyable {
    let listener: Descriptor
    let client: Descriptor
    let server: Descriptor
    /// The client as the listener saw it.
    let peer: Endpoint
}

extension LinuxKernel {
    func listener(on endpoint: Endpoint, backlog: Int = 16) throws -> Descriptor {
        let socket = try makeStreamSocket(for: endpoint)
        if !endpoint.isUnix { try set(.reuseAddress(true), on: socket) }
        try bind(socket, to: endpoint)
        try listen(socket, backlog: backlog)
        return socket
    }

    func client(of endpoint: Endpoint) throws -> Descriptor {
        let socket = try makeStreamSocket(for: endpoint)
        let result = connect(socket, to: endpoint)
        if result.errno == .nowInProgress { _ = try waitFor(.writable, on: socket) }
        if let failure = result.errno, failure != .nowInProgress { throw failure }
        if let failure = takeError(of: socket) { throw failure }
        return socket
    }

    /// Listens on `endpoint`, connects to `target` (by default where the listener ended up) and accepts.
    func pair(on endpoint: Endpoint, connectingTo target: (Endpoint) -> Endpoint = { $0 }) throws
        -> ConnectedPair
    {
        let listener = try listener(on: endpoint)
        let client = try client(of: target(try localEndpoint(of: listener)))
        _ = try waitFor(.readable, on: listener)
        switch accept(from: listener) {
        case .accepted(let server, let peer):
            return ConnectedPair(listener: listener, client: client, server: server, peer: peer)
        case .wouldBlock: throw Errno.wouldBlock
        case .skipped(let errno): throw errno
        case .exhausted(let errno): throw errno
        case .failed(let errno): throw errno
        }
    }

    /// Waits until `socket` is ready, five seconds at most.
    func waitFor(_ interest: Interest, on socket: borrowing Descriptor) throws -> Readiness {
        let epoll = try makeEpoll()
        try add(socket, to: epoll, interest: interest, token: 1)
        let batch = ReadinessBatch(capacity: 1)
        guard wait(on: epoll, into: batch, timeout: .seconds(5)).count == 1 else { throw TestTimeout() }
        return batch.readiness(at: 0)
    }

    func receiveOnce(from socket: borrowing Descriptor, atMost capacity: Int = 4096) -> Received {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
        defer { unsafe memory.deallocate() }
        // SAFETY: the memory lives until the span has been finalised.
        var span = unsafe OutputRawSpan(buffer: memory, initializedCount: 0)
        let result = receive(from: socket, into: &span)
        let count = unsafe span.finalize(for: memory)
        return Received(result: result, bytes: unsafe Array(memory[..<count]))
    }

    /// Reads until `count` bytes are there, or the end.
    func receive(_ count: Int, from socket: borrowing Descriptor) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            _ = try waitFor([.readable, .peerHangUp], on: socket)
            let received = receiveOnce(from: socket, atMost: count - bytes.count)
            if let failure = received.result.errno { throw failure }
            if received.bytes.isEmpty { break }
            bytes += received.bytes
        }
        return bytes
    }

    func send(_ parts: [Bytes], to socket: borrowing Descriptor) -> CallResult {
        let batch = WriteBatch()
        for part in parts { batch.append(part) }
        return send(batch, to: socket)
    }
}

struct Received {
    let result: CallResult
    let bytes: [UInt8]
}

/// A directory that goes with everything in it.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/aio-kernel-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        if let directory = unsafe opendir(path) {
            while let entry = unsafe readdir(directory) {
                let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                unsafe unlink("\(path)/\(name)")
            }
            unsafe closedir(directory)
        }
        unsafe rmdir(path)
    }
}

/// Counts down from the number of things to wait for.
final class Latch: @unchecked Sendable {
    private let lock = PosixLock()
    private let changed = PosixCondition()
    private var remaining: Int

    init(_ count: Int = 1) { remaining = count }

    func countDown() {
        lock.withLock { remaining -= 1 }
        changed.broadcast()
    }

    func wait() { lock.withLock { while remaining > 0 { changed.wait(lock) } } }
}

/// SplitMix64: the same seed, the same test.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
