// How the event stream takes what has come of a connection, and how credit for received bytes gets back to its worker.

package import AIOBytes
import AIOKernel
import Synchronization

extension ConnectionCore {
    /// Takes everything that waits for the program: the bytes are put in place of `bytes`, the rest is the
    /// result. The consumer of the sink only, when it took this node.
    package func take(bytes: inout ByteQueue) -> ConnectionSignals {
        lock.lock()
        // Cleared before what follows is read: what comes afterwards is signalled anew.
        shared.isSignalled = false
        let signals = shared.waitingSignals
        shared.waitingSignals = []
        bytes = shared.inbox.take()
        lock.unlock()
        return signals
    }

    /// Signals that were taken, and are not to be told yet.
    package func putBack(_ signals: ConnectionSignals) {
        lock.withLock { shared.waitingSignals.formUnion(signals) }
    }

    /// The consumer has looked at this connection for long enough, and will look again. True if it has to put it at the end of
    /// what it looks at; else it is on its way already.
    package func willBeTakenAgain() -> Bool {
        lock.withLock {
            guard !shared.isSignalled else { return false }
            shared.isSignalled = true
            return true
        }
    }

    /// Why it closed; nil before it has.
    package var closeReason: CloseReason? { lock.withLock { shared.closeReason } }

    /// Whether the program has closed this connection, so that only `.closed` may be delivered.
    package var isClosedByProgram: Bool { isSilenced.load(ordering: .acquiring) }

    /// The program has taken `bytes`: returns their credit, and has the worker read on if it had stopped.
    package func returnCredit(for bytes: Bytes) {
        bytes.delivered()
        returnCredit(byteCount: bytes.count)
    }

    /// The same for bytes that count as delivered already.
    func returnCredit(byteCount: Int) {
        guard byteCount > 0 else { return }
        let left = held.wrappingSubtract(byteCount, ordering: .sequentiallyConsistent).newValue
        guard left <= resumeMark, readPaused.load(ordering: .sequentiallyConsistent) else { return }
        if clearReadPaused() { request(.resumeReading) }
    }

    /// Bytes that will not be delivered: their slabs and credit are given back.
    package func release(_ queue: consuming ByteQueue) {
        var queue = queue
        while let bytes = queue.popFirst() { returnCredit(for: bytes) }
    }

    /// Reading goes on when what is held has fallen to half the window: resuming at once would let a slow
    /// program and a fast peer trade single segments.
    var resumeMark: Int { limits.receiveWindow / 2 }

    /// True for the one who clears it.
    func clearReadPaused() -> Bool {
        readPaused.compareExchange(expected: true, desired: false, ordering: .sequentiallyConsistent)
            .exchanged
    }
}
