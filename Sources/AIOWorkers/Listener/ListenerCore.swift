// What the listening sockets of one `listen` have in common: where, with which limits, what became of it. Its
// sockets are in Acceptor.swift.

package import AIOKernel
import Synchronization

/// What the acceptors of one `listen` have in common.
package final class ListenerCore: ListNode, @unchecked Sendable {
    package let id: UInt64
    /// Where it listens, port 0 resolved.
    package let endpoint: Endpoint
    /// Connections that the kernel may hold unaccepted, a socket.
    let backlog: Int
    package let sink: ConnectionSink
    /// Accepted connections go round all workers instead of staying where they were accepted: a shared
    /// listener.
    let isShared: Bool
    let workers: [Worker]
    private let turn = Atomic<Int>(0)
    /// Acceptors that have not closed. The last one reports the end and removes a Unix socket's file.
    private let openCount: Atomic<Int>
    /// The file of a Unix socket that is ours to remove.
    private let ownedFile: (path: String, identity: FileIdentity)?
    /// Guards what follows.
    private let lock = PosixLock()
    private var failure: AIOError?
    private var onClosed: [@Sendable () -> Void] = []
    private var isClosed = false
    private var acceptors: [Acceptor] = []

    package init(
        id: UInt64, endpoint: Endpoint, backlog: Int, sink: ConnectionSink,
        workers: [Worker],
        acceptorCount: Int, isShared: Bool, ownedFile: (path: String, identity: FileIdentity)?
    ) {
        self.id = id
        self.endpoint = endpoint
        self.backlog = min(max(backlog, 0), 65_536)
        self.sink = sink
        self.workers = workers
        self.isShared = isShared
        self.ownedFile = ownedFile
        openCount = Atomic(acceptorCount)
    }

    func begin(with acceptors: [Acceptor]) { lock.withLock { self.acceptors = acceptors } }

    var allAcceptors: [Acceptor] { lock.withLock { acceptors } }

    /// Stops listening. What the kernel had queued is accepted first, as far as limits allow.
    package func close() {
        let acceptors = lock.withLock { self.acceptors }
        for acceptor in acceptors { acceptor.requestClose() }
    }

    /// The error that ended it, if it was not closed by the program.
    package var failureToReport: AIOError? { lock.withLock { failure } }

    /// The worker for the next connection of a shared listener.
    func nextWorker() -> Worker {
        workers[turn.wrappingAdd(1, ordering: .relaxed).oldValue % workers.count]
    }

    func failed(_ error: AIOError, on worker: Worker) {
        let isFirst = lock.withLock { () -> Bool in
            defer { failure = failure ?? error }
            return failure == nil
        }
        guard isFirst else { return }
        if let events = sink.events { worker.complete(self, to: events) }
        sink.observer?.listenerFailed(error)
    }

    /// Runs `body` when all its sockets are closed; at once if they are.
    package func whenClosed(_ body: @escaping @Sendable () -> Void) {
        let runNow = lock.withLock { () -> Bool in
            if !isClosed { onClosed.append(body) }
            return isClosed
        }
        if runNow { body() }
    }

    /// Closes sockets that no worker knows of.
    func abandon(kernel: any Kernel) { for _ in allAcceptors { acceptorClosed(kernel: kernel) } }

    package var hasClosed: Bool { lock.withLock { isClosed } }

    func acceptorClosed(kernel: any Kernel) {
        guard openCount.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        if let ownedFile, kernel.socketFileIdentity(at: ownedFile.path) == ownedFile.identity {
            kernel.removeSocketFile(at: ownedFile.path)
        }
        let bodies = lock.withLock { () -> [@Sendable () -> Void] in
            isClosed = true
            acceptors = []
            defer { onClosed = [] }
            return onClosed
        }
        for body in bodies { body() }
    }
}
