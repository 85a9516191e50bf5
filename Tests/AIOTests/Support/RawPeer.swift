// The other side of a connection without the engine: plain sockets on a thread of their own, which can do
// what the engine never would, such as not reading, or resetting.

import AIOBytes
import AIOKernel
import Glibc
import SystemPackage

struct PeerTimeout: Error {}

/// A stream socket. Calls wait for the kernel as long as they must, ten seconds at most.
///
/// Sendable, unchecked: a test uses a peer on one thread at a time.
final class RawPeer: @unchecked Sendable {
    private let kernel = LinuxKernel()
    private var socket: Descriptor?
    private let number: Int32

    init(_ socket: consuming Descriptor) {
        number = socket.number
        self.socket = consume socket
    }

    init(connectingTo endpoint: Endpoint, receiveBufferByteCount: Int? = nil, waits: Bool = true) throws {
        let socket = try kernel.makeStreamSocket(for: endpoint)
        if let receiveBufferByteCount {
            try kernel.set(.receiveBufferByteCount(receiveBufferByteCount), on: socket)
        }
        let errno = kernel.connect(socket, to: endpoint).errno
        number = socket.number
        self.socket = consume socket
        if let errno, errno != .nowInProgress { throw errno }
        guard errno != nil, waits else { return }
        try wait(for: POLLOUT)
        if let errno = kernel.takeError(of: self.socket!) { throw errno }
    }

    // MARK: Sending

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            if let count = try sendOnce(bytes[sent...]) { sent += count } else { try wait(for: POLLOUT) }
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// One send(2): how many bytes the kernel took; nil if it takes none now.
    func sendOnce(_ bytes: ArraySlice<UInt8>) throws -> Int? {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(number, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
        }
        if count >= 0 { return count }
        if errno == EAGAIN || errno == EINTR { return nil }
        throw Errno(rawValue: errno)
    }

    /// Sends as much as the kernel takes, until it has taken nothing for a while or `limit` is reached. How
    /// much.
    func push(upTo limit: Int, _ chunk: [UInt8] = [UInt8](repeating: 0x61, count: 65_536)) throws -> Int {
        var pushed = 0
        while pushed < limit {
            if let count = try sendOnce(chunk[..<min(chunk.count, limit - pushed)]) {
                pushed += count
            } else if try !isReady(POLLOUT, within: 300) {
                break
            }
        }
        return pushed
    }

    // MARK: Receiving

    /// Exactly `count` bytes, or fewer if the end comes first.
    func receive(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard let more = try receiveOnce(atMost: count - bytes.count) else {
                try wait(for: POLLIN)
                continue
            }
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }

    func receiveText(_ count: Int) throws -> String { String(decoding: try receive(count), as: UTF8.self) }

    /// Everything until the end, which must be an orderly one.
    func receiveToEnd() throws -> [UInt8] { try receive(.max) }

    /// How many bytes there are until the end.
    func countToEnd() throws -> Int {
        var count = 0
        while true {
            guard let more = try receiveOnce(atMost: 1 << 18) else {
                try wait(for: POLLIN)
                continue
            }
            if more.isEmpty { return count }
            count += more.count
        }
    }

    /// One recv(2): nil if nothing is there, empty at the end.
    private func receiveOnce(atMost capacity: Int) throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: min(capacity, 1 << 18))
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe recv(number, $0.baseAddress, $0.count, 0) }
        if count >= 0 { return Array(bytes.prefix(count)) }
        if errno == EAGAIN || errno == EINTR { return nil }
        throw Errno(rawValue: errno)
    }

    // MARK: Ending

    func finish() { _ = kernel.finishWriting(socket!) }

    func close() { socket = nil }

    /// Closes with a reset.
    func reset() {
        kernel.resetOnClose(socket!)
        socket = nil
    }

    // MARK: Knowing

    var remote: Endpoint { get throws { try kernel.peerEndpoint(of: socket!) } }

    func isReady(_ events: Int32, within milliseconds: Int32) throws -> Bool {
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) == 1
    }

    func wait(for events: Int32) throws {
        guard try isReady(events, within: 10_000) else { throw PeerTimeout() }
    }
}

/// A listening socket that the engine knows nothing of.
final class RawListener: @unchecked Sendable {
    private let kernel = LinuxKernel()
    private var socket: Descriptor?
    private let number: Int32
    let endpoint: Endpoint

    init(on endpoint: Endpoint = .ip(.loopbackV4, port: 0), backlog: Int = 16) throws {
        let socket = try kernel.makeStreamSocket(for: endpoint)
        try kernel.bind(socket, to: endpoint)
        try kernel.listen(socket, backlog: backlog)
        self.endpoint = try endpoint.isUnix ? endpoint : kernel.localEndpoint(of: socket)
        number = socket.number
        self.socket = consume socket
    }

    func accept() throws -> RawPeer {
        while true {
            switch kernel.accept(from: socket!) {
            case .accepted(let accepted, _): return RawPeer(accepted)
            case .wouldBlock:
                var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
                guard unsafe poll(&entry, 1, 10_000) == 1 else { throw PeerTimeout() }
            case .skipped: continue
            case .exhausted(let errno): throw errno
            case .failed(let errno): throw errno
            }
        }
    }

    func close() { socket = nil }

    /// A port of 127.0.0.1 on which nobody listens.
    static func vacatedEndpoint() throws -> Endpoint {
        let listener = try RawListener()
        defer { listener.close() }
        return listener.endpoint
    }
}

/// Runs blocking code on a thread of its own.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    // Through a lock, and not through the continuation alone: when that is resumed before its task has suspended, the
    // thread sanitizer does not see what orders the two.
    let result = Promise<Result<Value, any Error>>()
    _ = try PthreadThread(named: "peer") { result.put(Result { try body() }) }
    return try await result.value().get()
}

/// Runs `body` on a thread of its own, and does not suspend meanwhile.
func holdingThisThread(_ body: @escaping @Sendable () -> Void) throws {
    try PthreadThread(named: "aside", body).join()
}

/// A directory that goes with everything in it.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/aio-tests-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func exists(_ name: String) -> Bool { unsafe access("\(path)/\(name)", F_OK) == 0 }

    func remove(_ name: String) { unsafe unlink("\(path)/\(name)") }

    deinit {
        for name in ["a.sock", "b.sock"] { unsafe unlink("\(path)/\(name)") }
        unsafe rmdir(path)
    }
}
