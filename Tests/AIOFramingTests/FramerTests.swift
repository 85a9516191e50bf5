// Framers of the program's own: what they may do, and what becomes of those that give answers that make no sense.

import AIOBytes
import AIOFraming
import Testing

@Suite struct FramerTests {
    @Test
    func `A framer of the program's own cuts, keeps its state, and may throw away what is between frames`() {
        // Spaces are padding; then a digit says how many bytes follow.
        struct Counted: Framer {
            var missing = 0

            mutating func advance(over bytes: RawSpan) -> FramerStep {
                let first = bytes.byte(at: 0)
                if missing == 0, first == UInt8(ascii: " ") { return .discard(byteCount: 1) }
                if missing == 0 { missing = Int(first) - 47 }
                guard bytes.byteCount >= missing else {
                    missing -= bytes.byteCount
                    return .incomplete
                }
                defer { missing = 0 }
                return .complete(byteCount: missing, header: 1)
            }

            mutating func streamEnded() -> UnfinishedFrame { .deliver(header: 1) }
            var frameByteCountMax: Int { 10 }
        }
        let stream = Array("  3abc 0 2de  4fg".utf8)
        for places in splits(of: stream.count) {
            for placement in Placement.allCases {
                var buffer = FrameBuffer(.custom { Counted() })
                var left = 0
                for piece in pieces(of: stream, splitAt: places, placement) { left += buffer.append(piece) }
                buffer.streamEnded()
                var items: [FrameItem] = []
                while let item = buffer.popFirst() { items.append(item) }
                #expect(left == 2)
                #expect(
                    items == [
                        .frame("abc", rawByteCount: 5), .frame("", rawByteCount: 2),
                        .frame("de", rawByteCount: 5), .frame("fg", rawByteCount: 3),
                    ])
            }
        }
    }

    @Test func `Each connection, and each change of the framing, has a framer of its own`() {
        let framing = Framing.custom { Every(3) }
        var first = FrameBuffer(framing)
        var second = FrameBuffer(framing)
        _ = first.append("ab")
        _ = second.append("abc")
        #expect(first.frameCount == 0 && second.frameCount == 1)
        _ = first.reframe(framing)
        _ = first.append("c")
        #expect(first.popFirst() == .frame("abc", rawByteCount: 3))
    }

    @Test func `A frame that takes up all that it may and is not complete is too long`() {
        for split in 0...5 {
            var buffer = FrameBuffer(.custom { Fixed(.incomplete, frameByteCountMax: 5) })
            _ = buffer.append(Bytes("abcde".prefix(split)))
            #expect(buffer.failure == (split == 5 ? .tooLong(byteCountMax: 5) : nil))
            _ = buffer.append(Bytes("abcde".dropFirst(split)))
            #expect(buffer.failure == .tooLong(byteCountMax: 5))
        }
        // One that allows nothing allows a byte.
        var buffer = FrameBuffer(.custom { Fixed(.incomplete, frameByteCountMax: 0) })
        #expect(buffer.frameByteCountMax == 1)
        _ = buffer.append("a")
        #expect(buffer.failure == .tooLong(byteCountMax: 1))
    }

    @Test(
        arguments: [
            .complete(byteCount: 0), .complete(byteCount: -1), .complete(byteCount: 4),
            .complete(byteCount: .max),
            .complete(byteCount: 3, header: 4), .complete(byteCount: 3, header: 2, trailer: 2),
            .complete(byteCount: 3, header: -1), .complete(byteCount: 3, trailer: -1),
            .complete(byteCount: 3, trailer: 1, keptTrailer: 2), .complete(byteCount: 3, keptTrailer: -1),
            .complete(byteCount: 3, header: .max, trailer: .max), .complete(byteCount: 3, trailer: .min),
            .discard(byteCount: 0), .discard(byteCount: -1), .discard(byteCount: 4),
            .discard(byteCount: .max),
        ] as [FramerStep])
    func `An answer that makes no sense fails the stream, and traps nothing`(step: FramerStep) {
        var buffer = FrameBuffer(.custom { Fixed(step, frameByteCountMax: 10) })
        _ = buffer.append("abc")
        #expect(buffer.failure?.code == .framerMisbehaved)
        #expect(buffer.popFirst() == nil && buffer.byteCount == 3)
        _ = buffer.reframe(.raw)
        #expect(buffer.popFirst() == .frame("abc", rawByteCount: 3))
    }

    @Test func `Discarding inside of a frame makes no sense`() {
        struct Discarding: Framer {
            var hasBegun = false
            mutating func advance(over bytes: RawSpan) -> FramerStep {
                defer { hasBegun = true }
                return hasBegun ? .discard(byteCount: 1) : .incomplete
            }
            mutating func streamEnded() -> UnfinishedFrame { .deliver() }
            var frameByteCountMax: Int { 10 }
        }
        var buffer = FrameBuffer(.custom { Discarding() })
        _ = buffer.append("a")
        _ = buffer.append("bc")
        #expect(buffer.failure?.code == .framerMisbehaved)
        #expect(buffer.byteCount == 3)
    }

    @Test(
        arguments: [
            .deliver(header: 4), .deliver(header: 2, trailer: 2), .deliver(header: -1),
            .deliver(trailer: .min),
        ] as [UnfinishedFrame])
    func `Nor may an unfinished frame be cut out of bounds`(unfinished: UnfinishedFrame) {
        var buffer = FrameBuffer(.custom { Fixed(.incomplete, frameByteCountMax: 10, unfinished) })
        _ = buffer.append("abc")
        buffer.streamEnded()
        #expect(buffer.failure?.code == .framerMisbehaved)
        #expect(buffer.popFirst() == nil && buffer.byteCount == 3)
    }

    @Test func `What a framer says has failed is what is seen`() {
        let error = FramingError("the peer sent a frame of type 9")
        var buffer = FrameBuffer(.custom { Fixed(.failed(error), frameByteCountMax: 10) })
        _ = buffer.append("abc")
        #expect(buffer.failure == error)
        #expect(error.code == .custom && "\(error)" == "custom: the peer sent a frame of type 9")
    }
}

/// Frames of `byteCount` bytes, in an object.
private final class Every: Framer, @unchecked Sendable {
    // Proof for @unchecked Sendable: a framer is called by one thread at a time.
    private let byteCount: Int
    private var seen = 0

    init(_ byteCount: Int) { self.byteCount = byteCount }

    func advance(over bytes: RawSpan) -> FramerStep {
        let missing = byteCount - seen
        if bytes.byteCount >= missing {
            seen = 0
            return .complete(byteCount: missing)
        }
        seen += bytes.byteCount
        return .incomplete
    }

    func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }
    var frameByteCountMax: Int { byteCount }
}

/// Gives the same answer always.
private struct Fixed: Framer {
    let step: FramerStep
    let frameByteCountMax: Int
    let unfinished: UnfinishedFrame

    init(_ step: FramerStep, frameByteCountMax: Int, _ unfinished: UnfinishedFrame = .deliver()) {
        self.step = step
        self.frameByteCountMax = frameByteCountMax
        self.unfinished = unfinished
    }

    mutating func advance(over bytes: RawSpan) -> FramerStep { step }
    mutating func streamEnded() -> UnfinishedFrame { unfinished }
}
