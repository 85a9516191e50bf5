// A datagram socket's beginning and end: into the worker's care and out of it, by request, by failure, or
// because the worker ends.

import AIOBytes
package import AIOKernel
import DequeModule

// MARK: - The program's calls, from any thread

extension DatagramCore {
    /// Asks the worker to take the socket in. Called once.
    func start() {
        lock.lock()
        shared.requests.insert(.start)
        submitAndUnlock()
    }

    /// Nothing more comes or goes: what waits to be received is dropped, a pending receive gets nil, sends
    /// that wait in line get `.closed`. What is queued is offered to the kernel once more.
    package func requestClose() {
        lock.lock()
        guard shared.phase == .open else { return lock.unlock() }
        shared.phase = .closing
        for datagram in shared.inbox { datagram.bytes.delivered() }
        shared.statistics.dropped += UInt64(shared.inbox.count)
        shared.inbox = []
        shared.inboxByteCount = 0
        shared.pendingError = nil
        shared.requests.insert(.close)
        let reader = wakeReader()
        let senders = refuseWaiters()
        submitAndUnlock()
        reader?.resume()
        for task in senders { task.resume() }
    }

    /// Closes, and returns when the worker has let go of the socket.
    package func close(isolation: isolated (any Actor)? = #isolation) async {
        requestClose()
        unsafe await withUnsafeContinuation { continuation in
            let task = unsafe SuspendedTask(continuation)
            lock.lock()
            let isClosed = shared.phase == .closed
            if !isClosed { shared.closers.append(task) }
            lock.unlock()
            if isClosed { task.resume() }
        }
    }

    /// Sets an option at once, on the caller's thread; the descriptor stays open meanwhile.
    package func set(_ option: DatagramSocketOption) throws(AIOError) {
        let socket = lock.withLock { shared.phase == .open ? shared.socket : nil }
        guard let socket else { throw AIOError(.closed, call: "setsockopt", detail: "\(endpoint)") }
        try worker.kernel.set(option, on: socket.descriptor)
    }

    /// Zero for nil: the kernel's choice.
    package func interfaceIndex(_ name: String?) throws(AIOError) -> UInt32 {
        guard let name else { return 0 }
        return try worker.kernel.interfaceIndex(named: name)
    }
}

// MARK: - The worker

extension DatagramCore {
    /// Carries out what the program left since the last time.
    func carryOutRequests(on worker: Worker) {
        lock.lock()
        let requests = shared.requests
        shared.requests = []
        shared.isSubmitted = false
        lock.unlock()
        if requests.contains(.start) { begin(on: worker) }
        guard requests.contains(.close) else { return writeQueued(on: worker) }
        flushAndClose(on: worker)
    }

    private func begin(on worker: Worker) {
        guard let socket = io.socket else { return }
        io.token = worker.takeIn(socket: self)
        do {
            try worker.kernel.add(
                socket.descriptor, to: worker.epoll!, interest: .input, token: io.token)
        } catch {
            failed(error, on: worker)
        }
    }

    /// The socket is unusable. The next receive says why.
    func failed(_ error: AIOError, on worker: Worker) {
        noteError(error)
        close(on: worker)
    }

    /// This pass's budget is spent: the next one goes on.
    func isUnfinished(on worker: Worker) {
        guard !io.isUnfinished else { return }
        io.isUnfinished = true
        worker.isUnfinished(self)
    }

    func resumeWork(on worker: Worker) {
        io.isUnfinished = false
        writeQueued(on: worker)
        readinessArrived([], on: worker)
    }

    /// The last datagrams are offered to the kernel, all of them: there will be no other pass for the rest. Also if it has said
    /// that it takes no more: the edge that says otherwise may be on its way.
    func flushAndClose(on worker: Worker) {
        io.isWriteBlocked = false
        writeQueued(on: worker, atMost: .max)
        close(on: worker)
    }

    /// Out of the epoll set, then given up; what is still in the inbox can be taken.
    private func close(on worker: Worker) {
        guard let socket = io.socket.take() else { return }
        worker.kernel.remove(socket.descriptor, from: worker.epoll!)
        worker.letGo(of: io.token)
        io.outbound.removeAll()
        lock.lock()
        shared.phase = .closed
        shared.socket = nil
        shared.staged = []
        shared.statistics.sendsDropped += UInt64(shared.outboundCount)
        shared.outboundCount = 0
        shared.outboundByteCount = 0
        let reader = wakeReader()
        var tasks = refuseWaiters() + shared.closers
        shared.closers = []
        lock.unlock()
        if let reader { tasks.append(reader) }
        // The last owner's going closes it, before anybody is told that it is closed.
        _ = consume socket
        for task in tasks { task.resume() }
    }
}
