// The program's receiving end of a datagram socket: from the inbox to the task that asks, which suspends when
// there is nothing. Woken by DatagramCore+Input.swift.

import AIOBytes
package import AIOKernel
import DequeModule

extension DatagramCore {
    /// What a look into the socket's state found.
    private enum Finding {
        case datagram(Datagram)
        case failed(AIOError)
        case ended
        case nothing
    }

    /// The next datagram; nil after the end. Cancelled, it throws `.cancelled` and has taken nothing.
    package func receive(isolation: isolated (any Actor)? = #isolation) async throws(AIOError) -> Datagram? {
        guard !Task.isCancelled else { throw AIOError(.cancelled, call: "receive") }
        var finding = beginReceive()
        while case .nothing = finding {
            await waitForNews(isolation: isolation)
            finding = goOnReceiving()
        }
        switch finding {
        case .datagram(let datagram): return datagram
        case .failed(let error): throw error
        case .ended, .nothing: return nil
        }
    }

    /// What is there now, at most `limit` datagrams.
    package func drain(atMost limit: Int) -> [Datagram] {
        lock.lock()
        var taken: [Datagram] = []
        taken.reserveCapacity(min(limit, shared.inbox.count))
        while taken.count < limit, case .datagram(let datagram) = take(errors: false) {
            taken.append(datagram)
        }
        lock.unlock()
        return taken
    }

    package var statistics: DatagramStatistics {
        lock.withLock {
            var statistics = shared.statistics
            statistics.inboxCount = shared.inbox.count
            statistics.outboundCount = shared.outboundCount
            return statistics
        }
    }

    /// For tests: a receive has suspended.
    package var hasSuspendedReader: Bool {
        lock.withLock { if case .suspended = shared.reader { true } else { false } }
    }

    // MARK: One receive at a time

    /// Enters as the reader if there is nothing to take.
    private func beginReceive() -> Finding {
        lock.lock()
        defer { lock.unlock() }
        guard case .none = shared.reader else {
            return .failed(
                AIOError(
                    .invalidArgument, call: "receive",
                    detail: "\(endpoint): another task is receiving from this socket already"))
        }
        let finding = take(errors: true)
        if case .nothing = finding { shared.reader = .awake }
        return finding
    }

    /// Suspends until there is something to look at, or the task is cancelled.
    private func waitForNews(isolation: isolated (any Actor)?) async {
        await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { continuation in
                unsafe suspendReader(SuspendedTask(continuation))
            }
        } onCancel: {
            cancelReader()
        }
    }

    private func suspendReader(_ task: SuspendedTask) {
        lock.lock()
        // The second look: the worker wakes only a reader that is suspended.
        if case .awake = shared.reader, !shared.hasNews {
            shared.reader = .suspended(task)
            lock.unlock()
        } else {
            lock.unlock()
            task.resume()
        }
    }

    private func cancelReader() {
        lock.lock()
        let task = wakeReader()
        if case .awake = shared.reader { shared.reader = .cancelled }
        lock.unlock()
        task?.resume()
    }

    /// Looks again, and leaves as the reader unless there is still nothing.
    private func goOnReceiving() -> Finding {
        lock.lock()
        defer { lock.unlock() }
        if case .cancelled = shared.reader {
            shared.reader = .none
            return .failed(AIOError(.cancelled, call: "receive"))
        }
        // A drain may have been faster: then there is nothing, and the wait goes on.
        let finding = take(errors: true)
        if case .nothing = finding { return .nothing }
        shared.reader = .none
        return finding
    }

    // MARK: Under the lock

    /// What comes next in the order that the program sees: datagrams, then an error, then the end.
    private func take(errors: Bool) -> Finding {
        if let datagram = shared.inbox.popFirst() {
            shared.inboxByteCount -= datagram.bytes.count
            datagram.bytes.delivered()
            return .datagram(datagram)
        }
        if errors, let error = shared.pendingError.take() { return .failed(error) }
        return shared.phase == .open ? .nothing : .ended
    }

    /// The reader's task, if it is suspended; the caller resumes it after giving up the lock.
    func wakeReader() -> SuspendedTask? {
        guard case .suspended(let task) = shared.reader else { return nil }
        shared.reader = .awake
        return task
    }
}
