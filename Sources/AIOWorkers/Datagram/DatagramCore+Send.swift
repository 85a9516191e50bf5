// The program's sending end of a datagram socket: checks a datagram, stages it or waits in line, and tells
// the worker. What is staged goes on in DatagramCore+Output.swift.

package import AIOBytes
package import AIOKernel
import DequeModule

extension DatagramCore {
    /// Returns once the datagram is queued, whole. Cancelled while it waits in line, it throws `.cancelled` and
    /// nothing was queued.
    package func send(
        _ bytes: Bytes, to target: Endpoint?, isolation: isolated (any Actor)? = #isolation
    ) async throws(AIOError) {
        try check(bytes, target)
        guard !Task.isCancelled else { throw AIOError(.cancelled, call: "send") }
        let datagram = OutgoingDatagram(bytes: bytes, target: target)
        guard let waiter = try stage(datagram, mayWait: true) else { return }
        await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { continuation in
                let task = unsafe SuspendedTask(continuation)
                lock.withLock { waiter.suspend(task) }?.resume()
            }
        } onCancel: {
            cancel(waiter)
        }
        if case .failed(let error) = lock.withLock({ waiter.outcome }) { throw error }
    }

    /// The same without waiting.
    package func trySend(_ bytes: Bytes, to target: Endpoint?) -> DatagramOutcome {
        do throws(AIOError) {
            try check(bytes, target)
            _ = try stage(OutgoingDatagram(bytes: bytes, target: target), mayWait: false)
            return .queued
        } catch {
            return .refused(error)
        }
    }

    /// Stages the datagram, or returns what waits in line for it.
    private func stage(_ datagram: OutgoingDatagram, mayWait: Bool) throws(AIOError) -> SendWaiter? {
        lock.lock()
        guard shared.phase == .open else {
            lock.unlock()
            throw closedError
        }
        if let error = shared.pendingError.take() {
            lock.unlock()
            throw error
        }
        if shared.waiters.isEmpty, hasRoom(for: datagram) {
            accept(datagram)
            submitAndUnlock()
            return nil
        }
        guard mayWait else {
            shared.statistics.sendsRefused += 1
            lock.unlock()
            throw AIOError(.limitReached, call: "send", detail: "\(endpoint): the outbound queue is full")
        }
        let waiter = SendWaiter(datagram)
        shared.waiters.append(waiter)
        lock.unlock()
        return waiter
    }

    private func cancel(_ waiter: SendWaiter) {
        lock.lock()
        // Accepted already, or failed: then that is the outcome.
        guard !waiter.isSettled else { return lock.unlock() }
        shared.waiters.removeAll { $0 === waiter }
        let task = waiter.settle(.failed(AIOError(.cancelled, call: "send")))
        lock.unlock()
        task?.resume()
    }

    /// For tests: sends that wait in line.
    package var waitingSendCount: Int { lock.withLock { shared.waiters.count } }

    // MARK: Under the lock

    private func hasRoom(for datagram: OutgoingDatagram) -> Bool {
        shared.outboundCount < options.outboundDatagramsMax
            && shared.outboundByteCount + datagram.bytes.count <= options.outboundByteCountMax
    }

    private func accept(_ datagram: OutgoingDatagram) {
        shared.staged.append(datagram)
        shared.outboundCount += 1
        shared.outboundByteCount += datagram.bytes.count
    }

    /// Lets in who waits, as far as there is room, in order. Their tasks are to be resumed after the lock.
    func admitWaiters() -> [SuspendedTask] {
        var tasks: [SuspendedTask] = []
        while let first = shared.waiters.first, hasRoom(for: first.datagram) {
            shared.waiters.removeFirst()
            accept(first.datagram)
            if let task = first.settle(.accepted) { tasks.append(task) }
        }
        return tasks
    }

    /// Nobody gets in any more.
    func refuseWaiters() -> [SuspendedTask] {
        var tasks: [SuspendedTask] = []
        while let first = shared.waiters.popFirst() {
            if let task = first.settle(.failed(closedError)) { tasks.append(task) }
        }
        return tasks
    }

    // MARK: Checks

    private var closedError: AIOError { AIOError(.closed, call: "send", detail: "\(endpoint)") }

    /// What can be known to fail is said at once.
    private func check(_ bytes: Bytes, _ target: Endpoint?) throws(AIOError) {
        guard let address = (target ?? peer)?.address?.unmapped else {
            let reason =
                target.map { "\($0) is not an IP address; a host name is to be resolved first" }
                ?? "\(endpoint) is not connected, so a datagram needs an address"
            throw AIOError(.invalidArgument, call: "send", detail: reason)
        }
        if let target {
            guard target.port != 0 else {
                throw AIOError(.invalidArgument, call: "send", detail: "\(target): nobody has port 0")
            }
            if let own = endpoint.address, own.unmapped.family != address.family {
                throw AIOError(
                    .invalidArgument, call: "send",
                    detail: "\(target) is of another family than the socket, which is bound to \(endpoint)")
            }
        }
        // What the header's 16 bits of length leave: for IPv4 they count its own header and UDP's, for IPv6
        // only UDP's.
        let byteCountMax = address.family == .v4 ? 65_507 : 65_527
        guard bytes.count <= byteCountMax else {
            throw AIOError(
                .tooLarge, call: "send",
                detail: "\(bytes.count) bytes; a datagram carries at most \(byteCountMax)")
        }
    }
}
