// Work that blocks or takes long, on threads where that holds up nobody. From the program's task through
// Host.offload to a thread of the lane `.work`, and back by resuming the task.

import AIOKernel
import AIOWorkers
import Synchronization

/// Whether the task that waits for a piece of offloaded work has been cancelled. Handed to the work, which
/// may look at it from time to time; nothing else can end it early.
public struct OffloadToken: Sendable {
    fileprivate let flag: Flag

    /// True from when the task was cancelled on. (`Task.isCancelled` is always false here: the work runs in
    /// no task.)
    public var isCancelled: Bool { flag.isSet.load(ordering: .acquiring) }

    /// Throws `CancellationError` if the task has been cancelled.
    public func checkCancellation() throws(CancellationError) {
        if isCancelled { throw CancellationError() }
    }

    fileprivate final class Flag: Sendable {
        /// Set by the cancelled task; its partner is the load above. What the canceller did before is seen
        /// by work that sees the flag.
        let isSet = Atomic<Bool>(false)
    }
}

extension Proactor {
    /// Runs `body`, which may block or take long, on a thread of its own kind and returns what it returns.
    ///
    /// The calling task suspends; workers, and the threads that Swift runs tasks on, stay free. The threads
    /// are ordinary pthreads, at most `Configuration.offloadThreadsMax` of them, apart from those that look
    /// up names; up to `offloadQueuedMax` pieces of work wait for one, oldest first. `body` runs in no task
    /// and has no task-local values.
    ///
    /// Cancelling the task while its work waits takes the work out of the queue: it never runs, and this
    /// throws `CancellationError` at once. Work that runs is not interrupted, since nothing can end a blocked
    /// system call safely, and the task waits for it even if cancelled: what the work was given, and what it
    /// uses of the program, must not be in use after the call that lent it has returned. What `body` returns
    /// or throws is then handed over as ever. Work that is to end early takes a token: see the other
    /// overload.
    ///
    /// Work given before the proactor's threads end (`shutdown()`) still runs, queued or running, and its
    /// result is handed over; `shutdown()` does not wait for it.
    ///
    /// - Throws: what `body` throws, unchanged; `CancellationError`; `.limitReached` if `offloadQueuedMax`
    ///   pieces wait already, or if no thread can be started; `.shutDown` after a shutdown.
    public func offload<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await offload { (_: OffloadToken) in try body() }
    }

    /// The same, with a token by which `body` can see that the task was cancelled:
    ///
    /// ```swift
    /// let sum = try await aio.offload { token in
    ///     try blocks.reduce(into: Checksum()) { sum, block in
    ///         try token.checkCancellation()
    ///         sum.add(block)
    ///     }
    /// }
    /// ```
    public func offload<R: Sendable>(
        _ body: @escaping @Sendable (OffloadToken) throws -> R
    ) async throws -> R {
        let call = OffloadCall(body, host: engine.host)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { call.begin(resuming: $0) }
        } onCancel: {
            call.cancel()
        }
    }

    /// The host that a configuration asks for.
    static func makeHost(
        for configuration: Configuration, kernel: any Kernel
    ) throws(AIOError) -> PthreadHost {
        // Before its numbers are used; the engine does it again, for hosts made elsewhere.
        try configuration.validate()
        return PthreadHost(
            workThreadsMax: configuration.offloadThreadsMax ?? max(4, kernel.usableProcessorCount),
            workQueuedMax: configuration.offloadQueuedMax)
    }
}

/// One call of `offload`: whichever of the work's end, a refusal and a cancellation comes first resumes the
/// task.
///
/// Cancelling can come at any time, even before `begin`. The work's fate is decided by the pool, under its
/// lock: either a thread takes it, or `cancel` takes it back. So a cancellation that finds the work taken has
/// nothing to do but to raise the flag. One that comes before the pool has answered with the piece leaves the
/// asking to `begin`, which looks at the flag again once it has stored the piece.
///
/// Sendable, unchecked: `lock` guards every `var`, and it is held over nothing but loads and stores.
private final class OffloadCall<R: Sendable>: @unchecked Sendable {
    private let body: @Sendable (OffloadToken) throws -> R
    private let host: any Host
    private let token = OffloadToken(flag: OffloadToken.Flag())
    private let lock = PosixLock()
    /// Set by `begin`, taken by who resumes.
    private var waiting: CheckedContinuation<R, any Error>?
    /// Set by `begin` once the pool has taken the work.
    private var piece: (any OffloadedWork)?

    init(_ body: @escaping @Sendable (OffloadToken) throws -> R, host: any Host) {
        self.body = body
        self.host = host
    }

    func begin(resuming continuation: CheckedContinuation<R, any Error>) {
        guard !token.isCancelled else { return continuation.resume(throwing: CancellationError()) }
        lock.withLock { waiting = continuation }
        do throws(AIOError) {
            let piece = try host.offload(.work) { [self] in run() }
            lock.withLock { self.piece = piece }
        } catch {
            finish(.failure(error))
            return
        }
        if token.isCancelled { takeBack() }
    }

    func cancel() {
        // Before the lock is taken: `begin` sees it if it stores the piece after this has looked for one.
        token.flag.isSet.store(true, ordering: .releasing)
        takeBack()
    }

    private func takeBack() {
        guard let piece = lock.withLock({ self.piece }), piece.cancel() else { return }
        finish(.failure(CancellationError()))
    }

    private func run() { finish(Result { try body(token) }) }

    /// Called once: by the thread that ran the work, or by who took it back, or by who was refused.
    private func finish(_ result: Result<R, any Error>) {
        let continuation = lock.withLock { () -> CheckedContinuation<R, any Error>? in
            // The piece, which the pool has let go of, holds this call no longer.
            piece = nil
            return waiting.take()
        }
        continuation?.resume(with: result)
    }
}
