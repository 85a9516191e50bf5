// What carries a stream of bytes both ways between two ends, as far as `checkTransport` can check it: a
// `Connection`, or something of your own that stands on one, as TLS would.

public import AIO
public import AIOBytes
import AIOKernel

/// One end of a two-way stream of bytes.
///
/// What the operations promise is written at `TransportPromise`, and `checkTransport` checks it. In short:
/// several tasks may use an end at the same time, one of them to read; what ends an operation without success
/// throws, and says which kind of failure it was (`TransportCheckOptions.failure`); and an operation that
/// throws has moved nothing.
///
/// Every requirement is asynchronous, so that an actor can conform.
public protocol StreamTransport: Sendable {
    /// At least one byte and at most `byteCountMax`; nil at the end of the stream. Suspends until there is
    /// one or the other. A cancelled read throws `CancellationError` and has taken nothing.
    func read(atMost byteCountMax: Int) async throws -> Bytes?

    /// The same, but throws a failure of kind `.timedOut` once `timeout` has passed, and has taken nothing
    /// then.
    ///
    /// There is an implementation, which cancels a `read(atMost:)`; conform by your own if the transport has
    /// time limits.
    func read(atMost byteCountMax: Int, within timeout: Duration) async throws -> Bytes?

    /// Takes `bytes` as a whole, to send them in one piece behind what was written before. Suspends while too
    /// much waits to be sent. If it throws, none of them is sent; if it was cancelled while it had to wait,
    /// it throws `CancellationError`.
    func write(_ bytes: Bytes) async throws

    /// Suspends until all that was written has been handed on. Cancelling stops the waiting and not the
    /// sending.
    func flush() async throws

    /// Ends this end's writing behind what was written (half-close). It may return before that has happened.
    /// Nothing is asked of a transport without half-close (`TransportCheckOptions.hasHalfClose`).
    func finish() async

    /// Closes this end: what was written is sent, then the end; what arrives and was not read is not
    /// delivered any more. It may return before that has happened.
    func close() async

    /// Ends the stream at once, both ways. What was written may be lost.
    func abort() async
}

extension StreamTransport {
    public func read(atMost byteCountMax: Int, within timeout: Duration) async throws -> Bytes? {
        let outcome = try await withThrowingTaskGroup(of: TimedRead.self) { group in
            group.addTask { .ended(try await read(atMost: byteCountMax)) }
            group.addTask {
                try await CheckTime.pass(timeout)
                return .timePassed
            }
            let first = try await group.next()
            group.cancelAll()
            guard case .timePassed = first else { return first }
            // It may have ended at the same moment, and its bytes are not to be lost.
            do { return try await group.next() } catch is CancellationError { return .timePassed }
        }
        if case .ended(let bytes) = outcome { return bytes }
        try Task.checkCancellation()
        throw AIOError(.timedOut, call: "read", detail: "\(timeout)")
    }
}

private enum TimedRead: Sendable {
    case ended(Bytes?)
    case timePassed
}

extension Connection: StreamTransport {
    public func read(atMost byteCountMax: Int, within timeout: Duration) async throws -> Bytes? {
        try await withTimeout(timeout) { try await read(atMost: byteCountMax) }
    }
}
