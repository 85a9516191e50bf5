// What a stream came to, by the reference and by a `FrameBuffer` that gets it in pieces. Also compiled into
// Tests/Fuzz.

import AIOBytes
import AIOFraming

/// Everything that can be seen of a stream that was cut.
struct Outcome: Equatable {
    struct Frame: Equatable {
        var payload: [UInt8]
        var rawByteCount: Int
    }

    var frames: [Frame] = []
    var failure: FramingError.Code?
    /// Bytes that are held still.
    var heldByteCount = 0
    /// Bytes that left, and in no item.
    var discardedByteCount = 0

    /// The same, with what was discarded behind a frame counted apart from it: when discarded bytes leave depends on
    /// when the frame before them was taken.
    var regardlessOfDiscarded: (payloads: [[UInt8]], failure: FramingError.Code?, held: Int, gone: Int) {
        let rawByteCount = frames.reduce(0) { $0 + $1.rawByteCount }
        return (frames.map(\.payload), failure, heldByteCount, rawByteCount + discardedByteCount)
    }
}

extension FramingCase {
    /// What `stream` comes to according to the reference.
    func referenceOutcome(of stream: [UInt8], hasEnded: Bool) -> Outcome {
        var outcome = Outcome()
        var left = stream[...]
        while outcome.failure == nil, !left.isEmpty {
            switch firstFrame(of: left, hasEnded: hasEnded) {
            case .incomplete:
                outcome.heldByteCount = left.count
                return outcome
            case .failed(let code):
                outcome.failure = code
            case .frame(let payload, let rawByteCount, let end):
                outcome.frames.append(Outcome.Frame(payload: payload, rawByteCount: rawByteCount))
                left = left.dropFirst(rawByteCount)
                if case .failed(let code) = end { outcome.failure = code }
            }
        }
        outcome.heldByteCount = left.count
        return outcome
    }

    /// What `pieces`, one after another, come to.
    ///
    /// - Parameter takesAtOnce: whether frames are taken when there are some, or at the end.
    func outcome(of pieces: [Bytes], hasEnded: Bool, takesAtOnce: Bool = false) -> Outcome {
        var buffer = FrameBuffer(framing)
        var outcome = Outcome()
        func takeAll(_ buffer: inout FrameBuffer) {
            while let item = buffer.popFirst() {
                guard case .frame(let payload, let rawByteCount) = item else {
                    preconditionFailure("an item that only a filter makes")
                }
                outcome.frames.append(Outcome.Frame(payload: Array(payload), rawByteCount: rawByteCount))
            }
        }
        for piece in pieces {
            outcome.discardedByteCount += buffer.append(piece)
            if takesAtOnce { takeAll(&buffer) }
        }
        if hasEnded { buffer.streamEnded() }
        takeAll(&buffer)
        outcome.failure = buffer.failure?.code
        outcome.heldByteCount = buffer.byteCount
        return outcome
    }
}
