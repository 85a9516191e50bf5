// Where a `FrameBuffer` has cut: sizes and verdicts, in the order of the stream. The bytes are elsewhere.

import AIOBytes
import DequeModule

/// A piece of the stream that is handed out as one item: a frame, with what was discarded behind it.
struct Cut {
    enum Kind: UInt8 { case frame, dropped, answer, close, answerThenClose }

    /// All bytes of the stream that it takes up.
    var rawByteCount: Int
    /// Where in them the payload is.
    let payloadStart: Int
    let payloadByteCount: Int
    let kind: Kind
    /// Of the filter that judged it.
    let rule: UInt16?
}

/// A first-in-first-out queue of cuts.
///
/// As in `ByteQueue` the first one is in place, since most connections have no more; the deque for the rest
/// is released when the queue is empty, so that an idle connection has no heap memory here.
struct CutQueue: Sendable {
    private var first: Cut?
    private var rest = Deque<Cut>()

    private static let restCountInitial = 15

    var isEmpty: Bool { first == nil }
    var firstKind: Cut.Kind? { first?.kind }
    var firstRule: UInt16? { first?.rule }
    var count: Int { first == nil ? 0 : 1 + rest.count }

    mutating func append(_ cut: Cut) {
        if first == nil {
            first = cut
        } else {
            if rest.isEmpty { rest.reserveCapacity(Self.restCountInitial) }
            rest.append(cut)
        }
    }

    /// Adds bytes that are not payload to the end of the last cut, which there must be.
    mutating func extendLast(byRawByteCount byteCount: Int) {
        if rest.isEmpty {
            first!.rawByteCount += byteCount
        } else {
            rest[rest.count - 1].rawByteCount += byteCount
        }
    }

    mutating func popFirst() -> Cut? {
        guard let cut = first else { return nil }
        first = rest.popFirst()
        if first == nil { rest = Deque() }
        return cut
    }

    mutating func removeAll() { self = CutQueue() }
}
