// The frames of one connection that has a framing: made with the connection, or when its handler switches. See
// ConnectionCore+Framing.swift for what is done with it.

import AIOFraming
import AIOKernel

/// A connection's received bytes, cut. Everything here is touched under the connection's lock.
final class ConnectionFraming {
    var buffer: FrameBuffer
    /// The filter of the connection's origin judges them.
    var isFiltered: Bool
    /// The filter has closed the connection, or its bytes could not be cut: nothing more is handed out.
    var isOver = false
    /// Why, if it was the latter.
    var failure: AIOError?
    /// When the frame began whose end has not arrived.
    var unfinishedSince: MonotonicTime?
    /// An answer of the filter's waits for room in the outbound queue.
    var waitsForRoom = false

    init(_ framing: Framing, judge: FrameJudge?) {
        isFiltered = judge != nil
        buffer = FrameBuffer(framing, judge: judge)
    }

    /// Notes that `byteCount` bytes have just been appended: whether they began a frame that is not finished.
    func noteUnfinished(appended byteCount: Int, now: MonotonicTime) {
        if !buffer.isInsideFrame {
            unfinishedSince = nil
        } else if unfinishedSince == nil || buffer.restByteCount <= byteCount {
            unfinishedSince = now
        }
    }
}
