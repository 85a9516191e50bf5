// What connections of one origin have in common about frames: how their bytes are cut, what judges the frames, and the counts of
// that. Part of ConnectionSink.

package import AIOFraming
package import AIOKernel

/// How the bytes of connections are cut into frames, and which of those the program gets.
package final class FramePolicy: Sendable {
    package let framing: Framing
    package let surfacing: Surfacing
    /// One for each worker, of the filter; none without one.
    private let counters: [FilterCounters]
    /// nil: all frames pass.
    package let judge: FrameJudge?

    /// - Throws: `.invalidArgument` for a framing that makes no sense; `.limitReached` for one whose frames may be larger than
    ///   `frameByteCountMax`.
    package init(
        framing: Framing, filter: FrameFilter?, surfacing: Surfacing = .onAccept, frameByteCountMax: Int,
        workerCount: Int
    ) throws(AIOError) {
        try framing.validate(frameByteCountMax: frameByteCountMax)
        self.framing = framing
        self.surfacing = surfacing
        guard let filter else {
            counters = []
            judge = nil
            return
        }
        let counters = (0..<workerCount).map { _ in FilterCounters(for: filter) }
        self.counters = counters
        judge = { payload, isFirst in
            guard filter.judges(isFirst: isFirst) else { return FrameJudgement(.pass) }
            let judgement = filter.judge(payload)
            return FrameJudgement(FrameVerdict(judgement.outcome), rule: filter.number(of: judgement))
        }
    }

    /// Counts a frame that has been taken, by the rule that has decided about it.
    func count(rule: UInt16, on worker: Worker) { counters[worker.index].count(rule) }

    /// How many frames each rule has decided about; nil without a filter.
    package var filterCounts: FilterCounts? {
        guard var sum = counters.first?.counts else { return nil }
        for other in counters.dropFirst() { sum += other.counts }
        return sum
    }
}

extension FrameVerdict {
    fileprivate init(_ outcome: FilterOutcome) {
        switch outcome {
        case .pass: self = .pass
        case .reply(let bytes): self = .answer(bytes, thenClose: false)
        case .replyAndClose(let bytes): self = .answer(bytes, thenClose: true)
        case .drop: self = .drop
        case .close: self = .close
        }
    }
}

extension Framing {
    /// Whether a connection that may hold so much of a frame can use it.
    package func validate(frameByteCountMax: Int) throws(AIOError) {
        if let problem { throw AIOError(.invalidArgument, detail: "framing: \(problem)") }
        guard self.frameByteCountMax <= frameByteCountMax else {
            let detail = "frames of \(self.frameByteCountMax) bytes are more than half of inboundByteCountMax"
            throw AIOError(.limitReached, detail: detail)
        }
    }
}

extension FramingError {
    /// What a read throws that comes to where the stream could not be cut.
    var asError: AIOError {
        AIOError(code == .tooLong ? .frameTooLong : .malformedFrame, call: "read", detail: "\(detail)")
    }
}
