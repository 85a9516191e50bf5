// Connections that the program does not hear of before there is something for it: the first frame that passed the filter.
// Until then the worker alone deals with them. Called where a connection is taken in, receives, ends and closes.

package import AIOFraming
package import AIOKernel
import Synchronization

// Theory of operation
//
//     taken in ──a whole frame has passed──▶ surfaced: opened, and from here on like any other
//        │
//        └── refused by the filter, not cut, too slow, ended by the peer, drained ──▶ closed; the program hears nothing
//
// While a connection is not surfaced its `io.isUnsurfaced` is set, which the worker alone reads and writes. Nobody else has a
// reference to it then, so nobody reads, writes or closes it but the worker, and answers of the filter need not wait for a reader: they
// are due when they are judged.
//
// It counts as seen by the program from the beginning: the limit on unseen connections is there to stop accepting while the program
// falls behind, and this one the program is not behind with.

/// When the program learns of a connection that was accepted.
public enum Surfacing: Sendable, Hashable {
    /// At once.
    case onAccept
    /// When its first frame is whole and has passed the filter, for protocols in which the client speaks first.
    ///
    /// Until then no task is made for it and no event comes of it: who connects and says nothing, or what the filter refuses, is dealt with by the
    /// worker. It has `ConnectionLimits.frameTimeout` for it, counted from when it is accepted, whatever else it sends.
    case onFirstFrame
}

extension ConnectionCore {
    /// The connection was accepted and belongs to this worker from now on.
    func beginSurfacing(on worker: Worker) {
        guard sink.framePolicy?.surfacing == .onFirstFrame else { return signalOpened(on: worker) }
        io.isUnsurfaced = true
        worker.accounts.acceptedWasSeen()
        lock.lock()
        shared.framing?.unfinishedSince = worker.now
        lock.unlock()
        sink.observer?.takenIn(self, on: worker)
    }

    /// Something has arrived, or has ended, or an answer has room. The caller holds the lock, which this gives up.
    func surfaceIfDueAndUnlock(
        _ framing: ConnectionFraming, _ settlement: consuming Settlement, on worker: Worker
    ) {
        settle(framing, &settlement)
        let isDue = framing.buffer.next == .frame
        if !isDue, !framing.isOver, !framing.waitsForRoom, shared.isInputEnded {
            endInput(framing, shared.waitingSignals.contains(.peerEnded) ? .peer : .shutDown, &settlement)
        }
        if isDue { framing.unfinishedSince = framing.buffer.isInsideFrame ? worker.now : nil }
        finishAndUnlock(settlement) { lock.unlock() }
        guard isDue else { return worker.counters.readerWakesAvoided.increment() }
        io.isUnsurfaced = false
        signalOpened(on: worker)
    }
}

extension Surfacing {
    package func validate(with framing: Framing) throws(AIOError) {
        guard self == .onFirstFrame, framing.isRaw else { return }
        throw AIOError(
            .invalidArgument, detail: "surfacing is .onFirstFrame, and framing is .raw: there are no frames")
    }
}

extension Duration {
    /// What the kernel is told: whole seconds, at least one.
    package func asDeferAccept(on endpoint: Endpoint) throws(AIOError) -> Duration {
        guard self > .zero, self <= .seconds(3_600) else {
            throw AIOError(
                .invalidArgument, detail: "deferAccept is \(self), but must be above zero and at most an hour"
            )
        }
        guard endpoint.isIP else {
            throw AIOError(.invalidArgument, detail: "deferAccept is for TCP, and \(endpoint) is not")
        }
        return .seconds(components.seconds + (components.attoseconds > 0 ? 1 : 0))
    }
}
