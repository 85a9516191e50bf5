// The framer of docs/framing.md, as it stands there.

import AIOBytes
import AIOFraming
import Testing

/// A line with a number of up to five digits, and then as many bytes: `5\nhello`.
private struct Counted: Framer {
    private var digits = 0
    private var number = 0
    /// What is still to come of the payload, when the number is known.
    private var missing: Int?

    mutating func advance(over bytes: RawSpan) -> FramerStep {
        var offset = 0
        while missing == nil {
            guard offset < bytes.byteCount else { return .incomplete }
            let byte = bytes.byte(at: offset)
            offset += 1
            if byte == UInt8(ascii: "\n"), digits > 0 {
                missing = number
            } else if digits < 5, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                number = 10 * number + Int(byte - UInt8(ascii: "0"))
                digits += 1
            } else {
                return .failed(.malformedLength("the peer sent a count that is not up to five digits"))
            }
        }
        let available = bytes.byteCount - offset
        guard available >= missing! else {
            missing! -= available
            return .incomplete
        }
        defer { self = Counted() }
        return .complete(byteCount: offset + missing!, header: digits + 1)
    }

    mutating func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }

    var frameByteCountMax: Int { 6 + 99_999 }
}

private let counted = Framing.custom { Counted() }

@Suite struct GuideTests {
    @Test func `The framer of the guide cuts the same wherever the stream is split`() {
        let stream = Array("5\nhello0\n011\nhello world3\nabcx".utf8)
        for places in splits(of: stream.count) {
            for placement in Placement.allCases {
                var buffer = FrameBuffer(counted)
                for piece in pieces(of: stream, splitAt: places, placement) { _ = buffer.append(piece) }
                var frames: [Bytes] = []
                while case .frame(let frame, _)? = buffer.popFirst() { frames.append(frame) }
                #expect(frames == ["hello", "", "hello world", "abc"])
                #expect(buffer.failure?.code == .malformedLength && buffer.byteCount == 1)
            }
        }
    }

    @Test func `A byte of a span is what is there, and nothing beyond it`() async {
        Bytes([1, 2, 255])[1...].withRawSpan { span in
            #expect(span.byte(at: 0) == 2 && span.byte(at: 1) == 255)
        }
        await #expect(processExitsWith: .failure) { Bytes([1]).withRawSpan { _ = $0.byte(at: 1) } }
        await #expect(processExitsWith: .failure) { Bytes([1]).withRawSpan { _ = $0.byte(at: -1) } }
    }
}
