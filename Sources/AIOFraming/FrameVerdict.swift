// What a filter says about a frame, and what a `FrameBuffer` hands out because of it.

package import AIOBytes

/// What is to become of a frame.
package enum FrameVerdict: Sendable, Hashable {
    /// The program gets it.
    case pass
    /// Nobody gets it.
    case drop
    /// The peer gets this in its place; then, if so, the connection is closed.
    case answer(Bytes, thenClose: Bool)
    /// The connection is closed.
    case close
}

/// A verdict, and the place of the rule that gave it, for who counts.
package struct FrameJudgement: Sendable {
    package let verdict: FrameVerdict
    /// nil: not to be counted.
    package let rule: UInt16?

    package init(_ verdict: FrameVerdict, rule: UInt16? = nil) {
        self.verdict = verdict
        self.rule = rule
    }
}

/// Judges the payload of a complete frame. `isFirst` is true for the first frame of the stream, dropped ones
/// counted. What has been judged is judged again if the framing changes before it is taken: who counts, counts
/// what is taken.
package typealias FrameJudge = @Sendable (_ payload: RawSpan, _ isFirst: Bool) -> FrameJudgement

/// The next thing that a `FrameBuffer` hands out. `rawByteCount` is how many bytes of the stream it took up,
/// and all that was discarded behind it: these numbers add up to what was appended.
package enum FrameItem: Sendable, Hashable {
    /// A frame for the program.
    case frame(Bytes, rawByteCount: Int)
    /// A frame that nobody gets.
    case dropped(rawByteCount: Int)
    /// The peer is to be sent this, behind what answers the items before.
    case answer(Bytes, rawByteCount: Int)
    /// The same, if there is something, and then the connection is to be closed. Nothing comes after it.
    case closeAfter(Bytes?, rawByteCount: Int)

    package var rawByteCount: Int {
        switch self {
        case .frame(_, let rawByteCount), .dropped(let rawByteCount), .answer(_, let rawByteCount),
            .closeAfter(_, let rawByteCount):
            rawByteCount
        }
    }
}
