// The path of the bytes through a `FrameBuffer`: pieces go through the framer, frames get a verdict, and when
// they are taken their payload is sliced out or joined.

import AIOBytes
import DequeModule

extension FrameBuffer {
    /// Nothing is cut any more, whatever arrives.
    var isStopped: Bool { failure != nil || isClosing || isOver }

    /// Begins to cut as `framing` says, at the next byte that the framer is shown.
    mutating func begin(_ framing: Framing) {
        current = framing
        framer = framing.makeFramer()
        following = nil
        cutCountMax = 1
    }

    // MARK: cutting

    /// Cuts what the framer has not seen, all of the rest, as far ahead as is allowed. Returns how many bytes
    /// left.
    mutating func catchUp() -> Int {
        guard !isStopped else { return 0 }
        let before = byteCount
        var unseen = rest.take()
        while !isStopped, cuts.count < cutCountMax, let piece = unseen.popFirst() {
            unseen.prepend(feed(piece))
        }
        isBehind = !unseen.isEmpty
        rest.append(contentsOf: unseen)
        if hasEnded, !isBehind { finish() }
        return before - byteCount
    }

    /// Where `feed` is in a piece.
    private struct Position {
        /// Before it: what has left.
        var begin = 0
        /// Before it, from `begin` on: cut.
        var cutEnd = 0
        /// Before it, from `cutEnd` on: seen, of an unfinished frame.
        var seenEnd = 0
    }

    /// Shows the framer a piece that follows what it has seen, and puts the bytes where they belong. Returns
    /// those that it was not shown, because enough is cut or the stream is at its end.
    mutating func feed(_ piece: Bytes) -> Bytes {
        let at = piece.withRawSpan { span in
            var at = Position()
            while at.seenEnd < span.byteCount, cuts.count < cutCountMax, !isStopped {
                let unseen = span.extracting(droppingFirst: at.seenEnd)
                switch framer.advance(over: unseen) {
                case .incomplete:
                    at.seenEnd = span.byteCount
                    checkUnfinishedFrame(byteCount: rest.byteCount + span.byteCount - at.cutEnd)
                case .complete(let byteCount, let header, let trailer, let keptTrailer):
                    complete(byteCount, header, trailer, keptTrailer, &at, span, piece)
                case .discard(let byteCount):
                    discard(byteCount, &at, piece)
                case .failed(let error):
                    failure = error
                }
            }
            return at
        }
        cut.append(piece[at.begin..<at.cutEnd])
        let others = piece[at.cutEnd...]
        if at.seenEnd == at.cutEnd { return Bytes(others) }
        rest.append(others)
        return Bytes()
    }

    private mutating func complete(
        _ byteCount: Int, _ header: Int, _ trailer: Int, _ keptTrailer: Int, _ at: inout Position,
        _ span: RawSpan, _ piece: Bytes
    ) {
        guard byteCount > 0, byteCount <= span.byteCount - at.seenEnd else {
            failure = .framerMisbehaved(
                "ended a frame after \(byteCount) of \(span.byteCount - at.seenEnd) bytes")
            return
        }
        let end = at.seenEnd + byteCount
        let frameByteCount = rest.byteCount + end - at.cutEnd
        guard let payload = payload(of: frameByteCount, header, trailer, keptTrailer) else { return }
        var judgement: FrameJudgement?
        if rest.isEmpty {
            if judges { judgement = judged(span.extracting(at.cutEnd..<end).extracting(payload)) }
        } else {
            // What has come of it before is the rest, and it is the first frame that ends in this piece.
            if judges { judgement = judgedJoining(piece[..<end], payload) }
            cut.append(contentsOf: rest.take())
        }
        append(frameByteCount, payload.lowerBound..<payload.upperBound + keptTrailer, judgement)
        at.cutEnd = end
        at.seenEnd = end
    }

    private mutating func discard(_ byteCount: Int, _ at: inout Position, _ piece: Bytes) {
        guard rest.isEmpty, at.seenEnd == at.cutEnd, byteCount > 0, byteCount <= piece.count - at.seenEnd
        else {
            failure = .framerMisbehaved("discarded \(byteCount) bytes inside of a frame or out of bounds")
            return
        }
        let end = at.seenEnd + byteCount
        if cuts.isEmpty {
            piece[at.seenEnd..<end].delivered()
            at.begin = end
        } else {
            cuts.extendLast(byRawByteCount: byteCount)
        }
        at.cutEnd = end
        at.seenEnd = end
        if let following, !framer.isDiscarding { begin(following) }
    }

    /// The stream is at its end, and all of the rest has been seen.
    mutating func finish() {
        guard !isStopped, !rest.isEmpty else { return }
        switch framer.streamEnded() {
        case .fail(let error):
            failure = error
        case .deliver(let header, let trailer):
            guard let payload = payload(of: rest.byteCount, header, trailer) else { return }
            let judgement = judges ? judgedJoining(Bytes(), payload) : nil
            let frameByteCount = rest.byteCount
            cut.append(contentsOf: rest.take())
            append(frameByteCount, payload, judgement)
        }
    }

    /// A frame has as many bytes as its framer allows, and is not complete. The built-in framers say so
    /// themselves.
    private mutating func checkUnfinishedFrame(byteCount: Int) {
        guard case .custom = framer else { return }
        let byteCountMax = framer.frameByteCountMax
        if byteCount >= byteCountMax { failure = .tooLong(byteCountMax: byteCountMax) }
    }

    /// Where the payload is in a frame; nil, and a failure, if that is nowhere.
    @inline(__always)
    private mutating func payload(
        of frameByteCount: Int, _ header: Int, _ trailer: Int, _ keptTrailer: Int = 0
    ) -> Range<Int>? {
        guard header >= 0, header <= frameByteCount, trailer >= 0, trailer <= frameByteCount - header,
            keptTrailer >= 0, keptTrailer <= trailer
        else {
            failure = .framerMisbehaved(
                "found a header of \(header) and a trailer of \(trailer) bytes in a frame of \(frameByteCount)"
            )
            return nil
        }
        return header..<frameByteCount - trailer
    }

    // MARK: verdicts

    /// Raw pieces are no frames.
    private var judges: Bool { judge != nil && !framer.isRaw }

    private func judged(_ payload: RawSpan) -> FrameJudgement? {
        judge?(payload, isAtBegin && cuts.isEmpty)
    }

    /// The verdict about a frame that is the rest and `end`, joined for no longer than it takes.
    private func judgedJoining(_ end: Bytes, _ payload: Range<Int>) -> FrameJudgement? {
        var parts: [Bytes] = []
        rest.forEachPrefix(upTo: .max) { parts.append($0) }
        if !end.isEmpty { parts.append(end) }
        let frame = parts.count == 1 ? parts[0] : Bytes(joining: parts)
        return frame.withRawSpan { judged($0.extracting(payload)) }
    }

    /// Puts a frame at the end of what can be taken; without a judgement, it passes.
    private mutating func append(_ rawByteCount: Int, _ payload: Range<Int>, _ judgement: FrameJudgement?) {
        let kind = judgement.map { note($0.verdict) } ?? .frame
        cuts.append(
            Cut(
                rawByteCount: rawByteCount, payloadStart: payload.lowerBound, payloadByteCount: payload.count,
                kind: kind, rule: judgement?.rule))
    }

    private mutating func note(_ verdict: FrameVerdict) -> Cut.Kind {
        switch verdict {
        case .pass: return .frame
        case .drop: return .dropped
        case .close:
            isClosing = true
            return .close
        case .answer(let answer, let thenClose):
            answers.append(answer)
            isClosing = thenClose
            return thenClose ? .answerThenClose : .answer
        }
    }

    // MARK: taking

    /// Takes the bytes of what is first out, and returns it.
    mutating func take(_ first: Cut) -> FrameItem {
        let rawByteCount = first.rawByteCount
        let payload = takePayload(of: first)
        switch first.kind {
        case .frame: return .frame(payload, rawByteCount: rawByteCount)
        case .dropped: return .dropped(rawByteCount: rawByteCount)
        case .answer: return .answer(takeAnswer(), rawByteCount: rawByteCount)
        case .close, .answerThenClose:
            isOver = true
            let answer = first.kind == .close ? nil : takeAnswer()
            return .closeAfter(answer, rawByteCount: rawByteCount)
        }
    }

    private mutating func takeAnswer() -> Bytes {
        let answer = answers.removeFirst()
        if answers.isEmpty { answers = Deque() }
        return answer
    }

    private mutating func takePayload(of first: Cut) -> Bytes {
        let payload = first.payloadStart..<first.payloadStart + first.payloadByteCount
        if let taken = cut.popDelivered(byteCount: first.rawByteCount, keeping: payload) { return taken }
        // It spans several slices. The payload may lie within one of them all the same.
        var parts: [Bytes] = []
        var offset = 0
        while offset < first.rawByteCount {
            let part = cut.popFirst(atMost: first.rawByteCount - offset)!
            part.delivered()
            let wanted = payload.clamped(to: offset..<offset + part.count)
            if first.kind == .frame, !wanted.isEmpty {
                parts.append(part[wanted.lowerBound - offset..<wanted.upperBound - offset])
            }
            offset += part.count
        }
        return parts.count == 1 ? Bytes(parts[0]) : Bytes(joining: parts)
    }
}

extension FrameItem {
    /// The same, with bytes that left behind it.
    func adding(rawByteCount more: Int) -> FrameItem {
        switch self {
        case .frame(let frame, let count): .frame(frame, rawByteCount: count + more)
        case .dropped(let count): .dropped(rawByteCount: count + more)
        case .answer(let answer, let count): .answer(answer, rawByteCount: count + more)
        case .closeAfter(let answer, let count): .closeAfter(answer, rawByteCount: count + more)
        }
    }
}
