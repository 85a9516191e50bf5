// What tests of straight-line connections share: one handled connection with a raw socket at its other side,
// and a value that one task leaves for another.

import AIO
import AIOKernel
import Glibc
import Testing

/// A value that one task leaves for another. Waiting for it ignores cancellation: it is how tests hold a task
/// that they have cancelled.
///
/// Sendable, unchecked: what changes is under `lock`. Not a `Mutex`, in which the thread sanitizer sees races.
final class Promise<Value: Sendable>: @unchecked Sendable {
    private let lock = PosixLock()
    private var kept: Value?
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Once: a second value is a second outcome, which is what some tests look for.
    func put(_ value: Value) {
        let waiting = lock.withLock {
            precondition(kept == nil, "a second outcome")
            kept = value
            defer { self.waiting = [] }
            return self.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    var isKept: Bool { lock.withLock { kept != nil } }

    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let mustWait = lock.withLock {
                if kept == nil { waiting.append(continuation) }
                return kept == nil
            }
            if !mustWait { continuation.resume() }
        }
        // Under the lock again, which is what orders this with `put` for the thread sanitizer.
        return lock.withLock { kept! }
    }
}

/// What became of an operation that may throw.
typealias Outcome<Value> = Result<Value, any Error>

nonisolated(nonsending) func outcome<Value>(of body: () async throws -> Value) async -> Outcome<Value> {
    do { return .success(try await body()) } catch { return .failure(error) }
}

extension Result {
    /// The code of the error, if it is the engine's.
    var code: AIOError.Code? {
        if case .failure(let error) = self { (error as? AIOError)?.code } else { nil }
    }

    var isCancellation: Bool {
        if case .failure(let error) = self { error is CancellationError } else { false }
    }
}

/// The code of what `body` throws; nil if it throws nothing, or nothing of the engine's.
nonisolated(nonsending) func code(of body: () async throws -> Void) async -> AIOError.Code? {
    await outcome(of: body).code
}

extension HandlerExecutor {
    static let all: [HandlerExecutor] = [.worker, .partner, .global]
}

extension ServerOptions {
    static func testing(
        _ executor: HandlerExecutor = .worker, _ change: (inout ConnectionLimits) -> Void = { _ in }
    ) -> Self {
        var options = Self()
        var limits = ConnectionLimits()
        change(&limits)
        options.connection = limits
        options.executor = executor
        return options
    }
}

/// Where `serving` listens if it is to be a Unix socket, whose buffer is full at once and stays it. Abstract names
/// are the machine's: another run of the tests has another.
let unixName = "unix:@aio-tests-straight-line-\(getpid())"

/// Runs one connection: `handler` at our side, `peer` with a plain socket at the other. Returns what the handler
/// returns, or throws what it throws, once the peer is done too; the server is then drained.
func serving<Value: Sendable>(
    on endpoint: String = "127.0.0.1:0", _ options: ServerOptions = .testing(), workers: Int = 1,
    _ handler: @escaping @Sendable (Connection) async throws -> Value,
    peer: (RawPeer, Proactor) async throws -> Void
) async throws -> Value {
    try await withProactor(.testing { $0.workerCount = workers }) { aio in
        let server = try await aio.listen(on: endpoint, options: options)
        let promise = Promise<Outcome<Value>>()
        async let report = server.serve { connection in
            let result = await outcome { try await handler(connection) }
            promise.put(result)
        }
        let address = server.endpoint
        let socket = try await onThread { try RawPeer(connectingTo: address) }
        try await peer(socket, aio)
        let result = await promise.value()
        socket.close()
        server.drain(within: .seconds(5))
        #expect(try await report.accepted == 1)
        return try result.get()
    }
}

extension RawPeer {
    /// Sends `byteCount` bytes of the pattern, on a thread of its own.
    func sendPattern(from start: Int = 0, _ byteCount: Int) async throws {
        try await onThread { [self] in
            var sent = 0
            while sent < byteCount {
                let count = min(65_536, byteCount - sent)
                try send(Array(Pattern.bytes(at: start + sent, count: count)))
                sent += count
            }
        }
    }

    /// Receives to the orderly end, or `limit` bytes, on a thread of its own: how many bytes, all of which are the
    /// pattern's.
    func receivePattern(from start: Int = 0, atMost limit: Int = .max) async throws -> Int {
        try await onThread { [self] in
            var received = 0
            while received < limit {
                let bytes = try receive(min(65_536, limit - received))
                if bytes.isEmpty { break }
                guard Pattern.matches(Bytes(bytes), at: start + received) else {
                    throw PatternBroken(position: start + received)
                }
                received += bytes.count
            }
            return received
        }
    }
}

struct PatternBroken: Error { let position: Int }
