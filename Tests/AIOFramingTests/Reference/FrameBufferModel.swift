// What a `FrameBuffer` ought to do, as an array of bytes that is cut when somebody asks, by the reference; and a buffer
// and its model side by side, which are given the same to do and compared. Also compiled into Tests/Fuzz.

import AIOBytes
import AIOFraming

/// An array of bytes that nobody has taken, and what has to be known of those that somebody has.
struct FrameBufferModel {
    /// Nil: raw.
    private var framing: FramingCase?
    private(set) var held: [UInt8] = []
    private(set) var failure: FramingError.Code?
    /// The last item has been taken.
    private var isOver = false
    private var hasEnded = false
    private var isAtBegin = true
    private let judge: (([UInt8], Bool) -> FrameVerdict)?

    /// A frame was taken that is cut short and goes on: its bytes so far, and what comes after it.
    private var skipped: (bytes: [UInt8], next: FramingCase??)?

    init(_ framing: FramingCase?, judge: (([UInt8], Bool) -> FrameVerdict)?) {
        self.framing = framing
        self.judge = judge
    }

    var isStopped: Bool { failure != nil || isOver }
    var isRaw: Bool { framing == nil }
    var isSkipping: Bool { skipped != nil }

    /// Returns how many bytes leave at once.
    mutating func append(_ bytes: [UInt8]) -> Int {
        guard var frame = skipped else {
            held += bytes
            return 0
        }
        let before = frame.bytes.count
        frame.bytes += bytes
        guard
            case .frame(_, let rawByteCount, let end) = framing!.firstFrame(of: frame.bytes, hasEnded: false)
        else { preconditionFailure("a frame that was taken is not there any more") }
        if end == .awaited {
            skipped = frame
        } else {
            held = Array(frame.bytes[rawByteCount...])
            if case .failed(let code) = end {
                failure = code
            } else if let next = frame.next {
                framing = next
            }
            skipped = nil
        }
        return rawByteCount - before
    }

    mutating func streamEnded() { hasEnded = true }

    mutating func reframe(_ framing: FramingCase?) {
        if skipped != nil {
            skipped!.next = .some(framing)
        } else {
            self.framing = framing
            failure = nil
        }
    }

    /// - Parameter rawByteCount: of a raw item, which may have any bytes but none.
    mutating func popFirst(rawByteCount: Int = 1) -> FrameItem? {
        guard !isStopped, skipped == nil, !held.isEmpty else { return nil }
        guard let framing else {
            let count = min(rawByteCount, held.count)
            let piece = Bytes(held.prefix(count))
            held.removeFirst(count)
            isAtBegin = false
            return .frame(piece, rawByteCount: count)
        }
        switch framing.firstFrame(of: held, hasEnded: hasEnded) {
        case .incomplete:
            return nil
        case .failed(let code):
            failure = code
            return nil
        case .frame(let payload, let rawByteCount, let end):
            let judged = payload.count == rawByteCount ? framing.withoutEnding(payload) : payload
            let verdict = judge?(judged, isAtBegin) ?? .pass
            isAtBegin = false
            if verdict.closes { return takeLast(payload, verdict, framing) }
            switch end {
            case .reached: break
            case .awaited: skipped = (Array(held.prefix(rawByteCount)), nil)
            case .failed(let code): failure = code
            }
            held.removeFirst(rawByteCount)
            return item(Bytes(payload), rawByteCount, verdict)
        }
    }

    /// Takes a frame behind which nothing is looked at, what would be discarded neither.
    private mutating func takeLast(_ payload: [UInt8], _ verdict: FrameVerdict, _ framing: FramingCase)
        -> FrameItem
    {
        let rawByteCount = (1...held.count).first {
            if case .frame = framing.firstFrame(of: held.prefix($0), hasEnded: false) { true } else { false }
        }
        let taken = rawByteCount ?? held.count
        held.removeFirst(taken)
        isOver = true
        return item(Bytes(payload), taken, verdict)
    }

    private func item(_ payload: Bytes, _ rawByteCount: Int, _ verdict: FrameVerdict) -> FrameItem {
        switch verdict {
        case .pass: return .frame(payload, rawByteCount: rawByteCount)
        case .drop: return .dropped(rawByteCount: rawByteCount)
        case .answer(let answer, thenClose: false): return .answer(answer, rawByteCount: rawByteCount)
        case .answer(let answer, thenClose: true):
            return .closeAfter(answer, rawByteCount: rawByteCount)
        case .close:
            return .closeAfter(nil, rawByteCount: rawByteCount)
        }
    }
}

extension FrameJudgement {
    static var pass: Self { Self(.pass) }
    static var drop: Self { Self(.drop) }
    static var close: Self { Self(.close) }
    static func answer(_ answer: Bytes, thenClose: Bool) -> Self {
        Self(.answer(answer, thenClose: thenClose))
    }
}

extension FrameVerdict {
    var closes: Bool {
        switch self {
        case .close, .answer(_, thenClose: true): true
        case .pass, .drop, .answer(_, thenClose: false): false
        }
    }
}

/// A buffer and its model, which are compared after each step.
struct FrameBufferAndModel: ~Copyable {
    private var buffer: FrameBuffer
    private var model: FrameBufferModel
    private let pool = SlabPool(slabByteCount: 4_096)
    private(set) var steps: [String] = []
    /// The first difference, in words.
    private(set) var difference: String?

    init(_ framing: FramingCase?, judge: (@Sendable ([UInt8], Bool) -> FrameVerdict)? = nil) {
        steps.append("\(framing as Any)")
        buffer = FrameBuffer(framing?.framing ?? .raw)
        if let judge {
            buffer.judge = { payload, isFirst in
                FrameJudgement(judge(Array(Bytes(copying: payload)), isFirst))
            }
        }
        model = FrameBufferModel(framing, judge: judge)
    }

    /// Appends `bytes`, as a read of a connection; `gap` bytes of another one come before them.
    mutating func append(_ bytes: [UInt8], gap: Int = 0) {
        steps.append("append \(Bytes(bytes)), \(gap) behind the last")
        pool.receive(Bytes(repeatElement(0, count: gap))).delivered()
        expect(buffer.append(pool.receive(Bytes(bytes))), model.append(bytes), "bytes that left")
        compare()
    }

    /// Takes the next item, and returns whether there was one.
    mutating func popFirst() -> Bool {
        steps.append("pop")
        let item = buffer.popFirst()
        expect(item, model.popFirst(rawByteCount: item?.rawByteCount ?? 1), "the item")
        compare()
        return item != nil && difference == nil
    }

    mutating func reframe(_ framing: FramingCase?) {
        steps.append("reframe \(framing as Any)")
        model.reframe(framing)
        expect(buffer.reframe(framing?.framing ?? .raw), 0, "bytes that left")
        compare()
    }

    mutating func streamEnded() {
        steps.append("end")
        buffer.streamEnded()
        model.streamEnded()
        compare()
    }

    mutating func compact() {
        steps.append("compact")
        buffer.compact(into: pool)
        compare()
    }

    private mutating func expect<T: Equatable>(_ actual: T, _ expected: T, _ what: String) {
        guard difference == nil, actual != expected else { return }
        difference = "\(what): \(actual), expected \(expected)\nafter: \(steps.joined(separator: "; "))"
    }

    private mutating func compare() {
        expect(buffer.byteCount, model.held.count, "bytes held")
        expect(pool.holdings().undeliveredBytes, model.held.count, "bytes that are not delivered")
        var coming = model
        let next = coming.popFirst()
        expect(buffer.frameCount > 0, next != nil, "whether there is an item")
        guard buffer.frameCount == 0 else { return }
        expect(buffer.failure?.code, coming.failure, "the failure")
        expect(buffer.isInsideFrame, !coming.isStopped && (!model.held.isEmpty || model.isSkipping), "inside")
    }
}

extension SlabPool {
    /// Receives exactly `bytes`, as if a socket had had just them.
    func receive(_ bytes: Bytes) -> Bytes {
        let (filled, received) = receive(atMost: max(1, bytes.count), expecting: bytes.count) { span in
            span.append(copying: bytes)
            return bytes.count
        }
        precondition(filled == bytes.count)
        return received
    }
}
