// The received bytes of one connection on their way to its reader: a worker appends slices of slabs, the
// framing cuts them into frames, the filter judges those, and the reader takes them one by one.
// FrameBuffer+Cutting.swift is the path of the bytes; here is what goes in and out.

package import AIOBytes
import DequeModule

// Theory of operation
//
// The buffer holds the stream from the first byte that nobody has taken, as it came, in two queues: the bytes
// of the frames that are cut, headers, trailers and discarded bytes included, and the rest. Where the cuts
// are is kept apart, as numbers. So nothing is copied or allocated for a frame that lies within a slice; one
// that spans several is joined when it is taken; and changing the framing means to forget the numbers and cut
// again.
//
//   taken │ cut ──────────────────────────────── │ rest ───────────────────────
//         │ [len|payload][len|payload|discarded] │ seen, unfinished │ not seen
//
// **Nothing is used up before it is taken.** Frames that a filter dropped or answered keep their place and
// their bytes, and so do the bytes behind a frame that was cut short, until a reader has come past them: it
// may change the framing at any frame, and what follows then means something else. Only if the frame that was
// cut short has been taken already does what comes of it later leave at once; and then a change of the
// framing waits for its end, since a frame that has been handed out is over.
//
// **Cutting ahead.** Everything that arrives is cut when it arrives, unless the framing was changed. A
// protocol that changes it at every message (a line, then so many bytes) would else have all of a full window
// cut at every message, and 64 KiB of tiny messages would be some billion steps. So after a change one frame
// is cut ahead, then two, four … as they are taken: no more is cut in vain than has been taken since the
// change. There is always one cut if there is a whole frame.
//
//   invariants  `cuts` add up to `cut.byteCount`
//               if `cuts` is empty, either all of the rest has been seen, or the stream is at its end by
//               failure or verdict
//               what has not been seen begins at the rest's beginning, unless it failed

/// The received bytes of a connection, cut into frames.
///
/// It calls `Bytes.delivered()` for every byte that leaves it, frames and others: nobody else must.
package struct FrameBuffer: ~Copyable, Sendable {
    /// Judges frames that are cut from now on; nil passes all. `.raw` has no frames, and its pieces are not
    /// judged.
    package var judge: FrameJudge?

    /// Why the stream cannot be cut any more, behind the frames that can be taken still. What was appended
    /// since is held, uncut; only a change of the framing ends this.
    package internal(set) var failure: FramingError?

    /// What is cut by, and what the stream looks like to it.
    var current: Framing
    var framer: ActiveFramer
    /// A framing that begins when the framer has discarded the rest of a frame that was cut short.
    var following: Framing?

    /// The bytes of the frames that are cut, and what follows them.
    var cut = ByteQueue()
    var rest = ByteQueue()
    var cuts = CutQueue()
    /// The answers of those cuts that have one.
    var answers = Deque<Bytes>()

    /// How many frames are cut before anybody takes one.
    var cutCountMax = Int.max
    /// There may be bytes in the rest that the framer has not seen.
    var isBehind = false
    /// A frame was judged to be the last, and waits to be taken.
    var isClosing = false
    /// It has been taken.
    var isOver = false
    var hasEnded = false
    /// Nothing has been taken: the next item is the first of the stream.
    var isAtBegin = true

    package init(_ framing: Framing, judge: FrameJudge? = nil) {
        precondition(framing.problem == nil, "a framing that makes no sense: \(framing.problem!)")
        current = framing
        framer = framing.makeFramer()
        self.judge = judge
    }

    // MARK: in

    /// Takes over bytes that have been received, and cuts.
    ///
    /// Returns how many bytes left at once, because they belong to a frame that was cut short and taken.
    package mutating func append(_ bytes: Bytes) -> Int {
        precondition(!hasEnded, "bytes behind the end of the stream")
        guard !bytes.isEmpty else { return 0 }
        guard !isBehind, !isStopped, cuts.count < cutCountMax else {
            rest.append(bytes)
            isBehind = true
            return 0
        }
        let before = byteCount
        let unseen = feed(Bytes(bytes))
        if !unseen.isEmpty {
            rest.append(unseen)
            isBehind = true
        }
        return before + bytes.count - byteCount
    }

    /// Nothing follows. An unfinished frame becomes one or a failure, as the framing has it.
    package mutating func streamEnded() {
        guard !hasEnded else { return }
        hasEnded = true
        if !isBehind { finish() }
    }

    /// Bytes that were handed out come before all others once more. To be followed by `reframe` or `takeStream` at once.
    package mutating func putBack(_ bytes: Bytes) {
        cuts.removeAll()
        rest.prepend(contentsOf: cut.take())
        rest.prepend(bytes)
    }

    /// Cuts what nobody has taken anew, and what is appended from now on. Behind a `closeAfter` that has been
    /// taken it does nothing.
    ///
    /// Frames that the filter has judged are put together with the rest as the stream they were and are
    /// judged again. If a frame that was cut short has been taken, and its end is still to come, the change
    /// waits until it has.
    ///
    /// Returns how many bytes left at once, as `append` does.
    package mutating func reframe(_ framing: Framing) -> Int {
        precondition(framing.problem == nil, "a framing that makes no sense: \(framing.problem!)")
        if framer.isDiscarding, byteCount == 0, !isStopped {
            following = framing
            return 0
        }
        guard !isOver else { return 0 }
        begin(framing)
        cuts.removeAll()
        answers = Deque()
        rest.prepend(contentsOf: cut.take())
        failure = nil
        isClosing = false
        return catchUp()
    }

    // MARK: out

    /// Takes the next item; nil if there is none: then see `failure`, and if there is none the frame is not
    /// complete.
    ///
    /// Cuts more if there is more, in which case the framer and the filter are called.
    package mutating func popFirst() -> FrameItem? {
        guard let first = cuts.popFirst() else { return nil }
        isAtBegin = false
        let item = take(first)
        if cuts.isEmpty, isBehind {
            cutCountMax = cutCountMax.addingSaturated(cutCountMax)
            return item.adding(rawByteCount: catchUp())
        }
        return item
    }

    /// What `popFirst` would hand out; nil for nothing.
    package var next: NextItem? {
        switch cuts.firstKind {
        case nil: nil
        case .frame: .frame
        case .dropped: .dropped
        case .answer: .answer
        case .close, .answerThenClose: .close
        }
    }

    /// Which rule has decided about it; nil for none.
    package var nextRule: UInt16? { cuts.firstRule }

    package enum NextItem: Sendable { case frame, dropped, answer, close }

    /// Everything that is held, as the stream that it was, for who wants no frames any more. nil if the rest of a frame that was
    /// cut short is still to be discarded: then `reframe` to `.raw`, which waits for that.
    package mutating func takeStream() -> ByteQueue? {
        if framer.isDiscarding, byteCount == 0, !isStopped { return nil }
        var stream = cut.take()
        stream.append(contentsOf: rest.take())
        _ = removeAll()
        return stream
    }

    /// Drops everything that is held: the connection is done with receiving. Returns how many bytes that
    /// were.
    package mutating func removeAll() -> Int {
        let removed = byteCount
        cut.delivered()
        rest.delivered()
        cut.removeAll()
        rest.removeAll()
        cuts.removeAll()
        answers = Deque()
        isBehind = false
        return removed
    }

    /// Replaces what is held by dense copies, so that slabs which stay alive for a few bytes can go: see
    /// `ByteQueue.compact`. What will be handed out does not change.
    package mutating func compact(into pool: SlabPool) {
        cut.compact(into: pool)
        rest.compact(into: pool)
    }

    /// Whether an unfinished frame is in pieces that take up more than their few bytes.
    package var isScattered: Bool { rest.count > 1 && rest.byteCount < 64 * (rest.count - 1) }

    /// Puts them together. What will be handed out does not change.
    package mutating func gather(into pool: SlabPool) { rest.gather(into: pool) }

    // MARK: as a whole

    /// The bytes held: all that were appended and have not left.
    package var byteCount: Int { cut.byteCount + rest.byteCount }

    /// Of these, the bytes that no item takes up.
    package var restByteCount: Int { rest.byteCount }

    /// Items that are cut, and can be taken: frames, and what the filter made of frames. At least one if
    /// there is a whole frame that nobody has taken; not all, if the framing was changed.
    package var frameCount: Int { cuts.count }

    package var isEmpty: Bool { byteCount == 0 }

    /// Whether a frame has begun whose end has not arrived: what a deadline for whole frames is about. Also
    /// true while the rest of a frame that was cut short is awaited.
    package var isInsideFrame: Bool {
        !isStopped && !isBehind && (!rest.isEmpty || framer.isDiscarding)
    }

    /// What the peer is to be told before the connection is closed over `failure`.
    package var failureReply: Bytes? { failure?.code == .tooLong ? current.overlongReply : nil }

    /// What is cut by, or will be once the rest of a frame that was cut short is over.
    package var framing: Framing { following ?? current }

    /// The most bytes that a frame may take up: so many have to be let in.
    package var frameByteCountMax: Int { framer.frameByteCountMax }
}
