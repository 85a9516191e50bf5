// Connections that a server's listeners have accepted, on their way to the tasks that handle them: one queue a
// worker. Filled on the worker, taken by the server's accepting task.

import AIOKernel
import DequeModule

/// Bounded by `EngineConfiguration.unseenConnectionsMax`: listeners stop accepting when so many wait here.
///
/// Sendable, unchecked: what changes is under `lock`.
@safe package final class AcceptQueue: ListNode, @unchecked Sendable {
    private let lock = FutexLock()
    private var waiting = Deque<ConnectionCore>()
    private var taker: UnsafeContinuation<Void, Never>?
    private var isEnded = false
    private var isSignalled = false

    override package init() { super.init() }

    /// On the worker, or on any thread for what ends the queue.
    package func put(_ connection: ConnectionCore, on worker: Worker) {
        lock.lock()
        waiting.append(connection)
        guard unsafe taker != nil, !isSignalled else { return lock.unlock() }
        // The partner runs the taker, like everything of its handlers.
        if connection.sink.place == .partner, let partner = worker.partner {
            isSignalled = true
            lock.unlock()
            worker.complete(self, to: partner.completions)
        } else {
            resumeTakerAndUnlock()
        }
    }

    package func end() {
        lock.lock()
        isEnded = true
        resumeTakerAndUnlock()
    }

    func wakeTaker() {
        lock.lock()
        isSignalled = false
        resumeTakerAndUnlock()
    }

    private func resumeTakerAndUnlock() {
        let taker = unsafe self.taker
        unsafe self.taker = nil
        lock.unlock()
        unsafe taker?.resume()
    }

    /// nil at the end. One task at a time. Not cancellable: the end comes when the server has ended.
    package func next() async -> ConnectionCore? {
        while true {
            switch takeNext() {
            case .connection(let connection): return connection
            case .end: return nil
            case .nothing: break
            }
            unsafe await withUnsafeContinuation { continuation in
                lock.lock()
                if hasNews {
                    lock.unlock()
                    unsafe continuation.resume()
                } else {
                    unsafe taker = unsafe continuation
                    lock.unlock()
                }
            }
        }
    }

    private var hasNews: Bool { !waiting.isEmpty || isEnded }

    private enum Next { case connection(ConnectionCore), end, nothing }

    private func takeNext() -> Next {
        lock.lock()
        defer { lock.unlock() }
        if let connection = waiting.popFirst() { return .connection(connection) }
        return isEnded ? .end : .nothing
    }
}
