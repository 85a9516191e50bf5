// What a `FrameBuffer` promises, one thing at a time; that it adds up is the model's to show.

import AIOBytes
import AIOFraming
import Testing

@Suite struct FrameBufferTests {
    private func items(_ buffer: inout FrameBuffer) -> [FrameItem] {
        var items: [FrameItem] = []
        while let item = buffer.popFirst() { items.append(item) }
        return items
    }

    private func payloads(_ buffer: inout FrameBuffer) -> [Bytes] {
        items(&buffer).compactMap { if case .frame(let payload, _) = $0 { payload } else { nil } }
    }

    // MARK: memory

    @Test func `Frames within a piece share its memory`() {
        let pool = SlabPool()
        let piece = pool.receive("one\r\ntwo\r\n\r\nfour\r\n")
        var buffer = FrameBuffer(.lines())
        #expect(buffer.append(piece) == 0)
        let lines = payloads(&buffer)
        #expect(lines == ["one", "two", "", "four"])
        let places = lines.map { unsafe $0.baseAddress.map { unsafe $0 - piece.baseAddress! } }
        #expect(places == [0, 5, nil, 12])
        #expect(lines.map(\.startIndex) == [0, 0, 0, 0])
    }

    @Test func `A frame over two reads that lie side by side shares their memory`() {
        let pool = SlabPool()
        var buffer = FrameBuffer(.lengthPrefixed(byteCount: 1))
        let first = pool.receive("\u{6}abc")
        _ = buffer.append(first)
        _ = buffer.append(pool.receive("def\u{1}g"))
        let frames = payloads(&buffer)
        #expect(frames == ["abcdef", "g"])
        #expect(unsafe frames[0].baseAddress == first.baseAddress! + 1)
    }

    @Test func `A frame over pieces of several slabs is joined, and keeps none of them`() {
        let pools = [SlabPool(), SlabPool(), SlabPool()]
        var buffer = FrameBuffer(.lines())
        for (pool, bytes) in zip(pools, ["ab", "cd", "ef\ngh\n"] as [Bytes]) {
            _ = buffer.append(pool.receive(bytes))
        }
        let lines = payloads(&buffer)
        #expect(lines == ["abcdef", "gh"])
        #expect(lines.map(\.heldByteCount) == [6, 65_536])
    }

    @Test func `A payload within one slab is not copied, though its header is in another`() {
        let pools = [SlabPool(), SlabPool()]
        var buffer = FrameBuffer(.lengthPrefixed(byteCount: 2))
        _ = buffer.append(pools[0].receive([0]))
        let rest = pools[1].receive([3, 1, 2, 3])
        _ = buffer.append(rest)
        let frames = payloads(&buffer)
        #expect(frames == [[1, 2, 3]])
        #expect(unsafe frames[0].baseAddress == rest.baseAddress! + 1)
    }

    @Test func `What is taken counts as delivered, headers and trailers too, and what is dropped`() {
        let pool = SlabPool()
        var buffer = FrameBuffer(.netstrings()) { payload, _ in payload.byteCount == 2 ? .drop : .pass }
        _ = buffer.append(pool.receive("1:a,2:bc,3:d"))
        #expect(pool.holdings().undeliveredBytes == 12)
        #expect(items(&buffer) == [.frame("a", rawByteCount: 4), .dropped(rawByteCount: 5)])
        #expect(pool.holdings().undeliveredBytes == 3)
        #expect(buffer.removeAll() == 3)
        #expect(pool.holdings().undeliveredBytes == 0)
        #expect(buffer.isEmpty && buffer.frameCount == 0)
    }

    @Test func `Compacting lets slabs go that stay alive for a few bytes`() {
        let pool = SlabPool(slabByteCount: 4_096)
        var buffer = FrameBuffer(.lines())
        for number in 0..<20 {
            _ = buffer.append(pool.receive("\(number)\n\(number)"))
            pool.receive(Bytes(repeatElement(0, count: 4_090))).delivered()
        }
        #expect(pool.liveSlabCount >= 20)
        let before = buffer.byteCount
        buffer.compact(into: pool)
        #expect(pool.liveSlabCount <= 2)
        #expect(buffer.byteCount == before)
        #expect(payloads(&buffer) == ["0"] + (1..<20).map { "\($0 - 1)\($0)" })
    }

    // MARK: order

    @Test func `Frames that are cut can be taken behind a failure, and nothing else`() {
        var buffer = FrameBuffer(.lines(byteCountMax: 3, overlong: .reply("too long")))
        #expect(buffer.failureReply == nil)
        _ = buffer.append("a\nb\nabcdef\nc\n")
        #expect(buffer.failure == .tooLong(byteCountMax: 3))
        #expect(buffer.failureReply == "too long")
        #expect(buffer.frameCount == 2)
        _ = buffer.append("d\n")
        buffer.streamEnded()
        #expect(payloads(&buffer) == ["a", "b"])
        #expect(buffer.failure == .tooLong(byteCountMax: 3))
        #expect(buffer.byteCount == 11)
        #expect(buffer.isInsideFrame == false)
    }

    @Test func `A failure that is not about the maximum has no reply`() {
        var buffer = FrameBuffer(.netstrings(overlong: .reply("too long")))
        _ = buffer.append("x")
        #expect(buffer.failure?.code == .malformedLength)
        #expect(buffer.failureReply == nil)
    }

    @Test func `A change of the framing ends a failure, and cuts what was not cut`() {
        var buffer = FrameBuffer(.netstrings())
        _ = buffer.append("1:a,hello\n")
        _ = buffer.append("world\n")
        #expect(items(&buffer) == [.frame("a", rawByteCount: 4)])
        #expect(buffer.failure?.code == .malformedLength)
        #expect(buffer.reframe(.lines()) == 0)
        #expect(buffer.failure == nil)
        #expect(payloads(&buffer) == ["hello", "world"])
    }

    @Test func `Raw pieces come out as they came`() {
        let pool = SlabPool()
        var buffer = FrameBuffer(.raw)
        for piece in ["ab", "c", "def"] as [Bytes] { _ = buffer.append(pool.receive(piece)) }
        #expect(buffer.append("") == 0)
        #expect(buffer.frameCount == 3)
        #expect(payloads(&buffer) == ["ab", "c", "def"])
        buffer.streamEnded()
        #expect(buffer.failure == nil && buffer.popFirst() == nil)
    }

    @Test func `From lines to so many bytes and back, as mail has it`() {
        var buffer = FrameBuffer(.lines())
        _ = buffer.append("BDAT 12\r\nhello\r\nwor")
        #expect(buffer.popFirst() == .frame("BDAT 12", rawByteCount: 9))
        _ = buffer.reframe(.fixed(byteCount: 12))
        #expect(buffer.popFirst() == nil)
        #expect(buffer.isInsideFrame && buffer.restByteCount == 10)
        _ = buffer.append("ldQUIT\r\n")
        #expect(buffer.popFirst() == .frame("hello\r\nworld", rawByteCount: 12))
        _ = buffer.reframe(.lines())
        #expect(buffer.popFirst() == .frame("QUIT", rawByteCount: 6))
        #expect(buffer.byteCount == 0)
    }

    // MARK: verdicts

    @Test func `What a filter answers or drops keeps its place`() {
        var buffer = FrameBuffer(.lines()) { payload, _ in
            switch payload.byteCount {
            case 1: .drop
            case 2: .answer("two!", thenClose: false)
            case 3: .answer("three!", thenClose: true)
            case 4: .close
            default: .pass
            }
        }
        _ = buffer.append("hello\na\nbc\n\nde\nabc\nhello\n")
        #expect(buffer.frameCount == 6)
        #expect(
            items(&buffer) == [
                .frame("hello", rawByteCount: 6), .dropped(rawByteCount: 2), .answer("two!", rawByteCount: 3),
                .frame("", rawByteCount: 1), .answer("two!", rawByteCount: 3),
                .closeAfter("three!", rawByteCount: 4),
            ])
        #expect(buffer.byteCount == 6)
        // It is the last, whatever comes.
        _ = buffer.append("hello\n")
        #expect(buffer.reframe(.raw) == 0)
        #expect(buffer.popFirst() == nil)
        #expect(buffer.isInsideFrame == false)

        var closing = FrameBuffer(.lines()) { _, _ in .close }
        _ = closing.append("abcd\n")
        #expect(items(&closing) == [.closeAfter(nil, rawByteCount: 5)])
    }

    @Test func `A filter sees the payload alone, whole, in one piece`() {
        var buffer = FrameBuffer(.netstrings()) { payload, _ in
            Array(Bytes(copying: payload)) == Array("hello".utf8) ? .pass : .close
        }
        for byte in "5:hello,5:hello,".utf8 { _ = buffer.append(Bytes([byte])) }
        #expect(payloads(&buffer) == ["hello", "hello"])
    }

    @Test func `Only the first frame of the stream is the first, whatever became of it`() {
        let judge: FrameJudge = { payload, isFirst in
            FrameJudgement(.answer(isFirst ? "first" : "later", thenClose: false))
        }
        var buffer = FrameBuffer(.lines(), judge: judge)
        _ = buffer.append("a\nb\n")
        #expect(items(&buffer) == [.answer("first", rawByteCount: 2), .answer("later", rawByteCount: 2)])
        _ = buffer.append("c\n")
        _ = buffer.reframe(.delimited(by: "\n"))
        #expect(items(&buffer) == [.answer("later", rawByteCount: 2)])

        // What nobody has taken is judged anew, and the first is the first again.
        var untaken = FrameBuffer(.lines(), judge: judge)
        _ = untaken.append("a\nb\n")
        _ = untaken.reframe(.fixed(byteCount: 4))
        #expect(items(&untaken) == [.answer("first", rawByteCount: 4)])
    }

    @Test func `A frame that was judged and not taken is judged anew when the framing changes`() {
        var buffer = FrameBuffer(.lines()) { payload, _ in payload.byteCount < 4 ? .close : .pass }
        _ = buffer.append("abc\ndef\n")
        #expect(buffer.frameCount == 1)
        _ = buffer.reframe(.fixed(byteCount: 4))
        #expect(items(&buffer) == [.frame("abc\n", rawByteCount: 4), .frame("def\n", rawByteCount: 4)])
    }

    @Test func `Raw pieces are not judged`() {
        var buffer = FrameBuffer(.raw) { _, _ in .close }
        _ = buffer.append("abc")
        #expect(items(&buffer) == [.frame("abc", rawByteCount: 3)])
    }

    @Test func `The last line is judged, though no ending follows it`() {
        var buffer = FrameBuffer(.lines()) { payload, _ in payload.byteCount == 3 ? .drop : .pass }
        _ = buffer.append("a")
        _ = buffer.append("bc")
        buffer.streamEnded()
        #expect(items(&buffer) == [.dropped(rawByteCount: 3)])
    }

    // MARK: small pieces

    @Test func `An unfinished frame in many small pieces is gathered, and is the same frame`() {
        let pool = SlabPool(slabByteCount: 4_096)
        var buffer = FrameBuffer(.lines())
        var gatherings = 0
        for byte in "0123456789abcdefghij".utf8 {
            _ = buffer.append(Bytes([byte]))
            guard buffer.isScattered else { continue }
            gatherings += 1
            buffer.gather(into: pool)
            let isScattered = buffer.isScattered
            #expect(!isScattered)
        }
        #expect(gatherings == 19 && buffer.byteCount == 20)
        _ = buffer.append("\nx")
        #expect(items(&buffer) == [.frame("0123456789abcdefghij", rawByteCount: 21)])
        #expect(buffer.restByteCount == 1)
    }

    @Test func `Large pieces are left where they are`() {
        var buffer = FrameBuffer(.lines())
        for _ in 0..<8 { _ = buffer.append(Bytes(repeatElement(UInt8(ascii: "x"), count: 64))) }
        let isScattered = buffer.isScattered
        #expect(!isScattered)
    }

    // MARK: frames that are cut short

    @Test func `What is cut off a frame stays until the frame is taken, and then leaves at once`() {
        var buffer = FrameBuffer(.lines(byteCountMax: 2, overlong: .truncate))
        #expect(buffer.append("abcdefgh") == 0)
        #expect(buffer.append("ijk") == 0)
        #expect(buffer.byteCount == 11 && buffer.frameCount == 1)
        #expect(buffer.popFirst() == .frame("ab", rawByteCount: 11))
        #expect(buffer.byteCount == 0 && buffer.isInsideFrame)
        #expect(buffer.append("lmnop") == 5)
        #expect(buffer.append("q\nr\n") == 2)
        #expect(buffer.popFirst() == .frame("r", rawByteCount: 2))
        #expect(buffer.isInsideFrame == false)
    }

    @Test func `A change of the framing waits for the end of a frame that was cut short and taken`() {
        var buffer = FrameBuffer(.lines(byteCountMax: 2, overlong: .truncate))
        _ = buffer.append("abcdefgh")
        #expect(buffer.popFirst() == .frame("ab", rawByteCount: 8))
        _ = buffer.reframe(.raw)
        _ = buffer.reframe(.fixed(byteCount: 3))
        #expect(buffer.append("ijk") == 3)
        #expect(buffer.append("lm\nxyz\n12") == 3)
        #expect(items(&buffer) == [.frame("xyz", rawByteCount: 3), .frame("\n12", rawByteCount: 3)])
    }

    @Test func `A frame that was cut short and not taken is put together again`() {
        var buffer = FrameBuffer(.lines(byteCountMax: 2, overlong: .truncate))
        _ = buffer.append("abcdef")
        _ = buffer.append("gh\nxy\n")
        _ = buffer.reframe(.lines())
        #expect(payloads(&buffer) == ["abcdefgh", "xy"])
    }

    // MARK: work

    @Test func `A framing that changes at every frame costs no more than twice the stream`() {
        let counter = Counter()
        let framings = [Framing.custom { CountingLines(counter) }, .custom { CountingLines(counter) }]
        var buffer = FrameBuffer(framings[0])
        let lineCount = 8_192
        _ = buffer.append(Bytes(repeatElement(Array("abcdef\n".utf8), count: lineCount).joined()))
        let first = counter.seen
        var taken = 0
        while buffer.popFirst() != nil {
            taken += 1
            _ = buffer.reframe(framings[taken % 2])
        }
        #expect(taken == lineCount)
        #expect(first == 7 * lineCount)
        #expect(counter.seen - first <= 3 * 7 * lineCount)
    }

    @Test func `After a change there is a frame to be taken whenever one is whole`() {
        var buffer = FrameBuffer(.raw)
        _ = buffer.append("a\nb\nc\nd\n")
        _ = buffer.reframe(.lines())
        var taken: [Bytes] = []
        while buffer.frameCount > 0 {
            taken += [buffer.popFirst()].compactMap { if case .frame(let line, _) = $0 { line } else { nil } }
            if taken.count == 2 { _ = buffer.append("e\nf") }
        }
        #expect(taken == ["a", "b", "c", "d", "e"])
        #expect(buffer.isInsideFrame && buffer.restByteCount == 1)
        _ = buffer.append("\n")
        #expect(payloads(&buffer) == ["f"])
    }

    @Test func `The end of the stream is known to a framing that begins after it`() {
        var buffer = FrameBuffer(.lines())
        _ = buffer.append("a\nb\nc")
        buffer.streamEnded()
        buffer.streamEnded()
        #expect(buffer.popFirst() == .frame("a", rawByteCount: 2))
        _ = buffer.reframe(.fixed(byteCount: 2))
        #expect(buffer.popFirst() == .frame("b\n", rawByteCount: 2))
        #expect(buffer.popFirst() == nil && buffer.failure == .unfinished)
        _ = buffer.reframe(.lines())
        #expect(buffer.popFirst() == .frame("c", rawByteCount: 1))
    }

    // MARK: misuse

    @Test func `A framing that makes no sense traps`() async {
        await #expect(processExitsWith: .failure) { _ = FrameBuffer(.fixed(byteCount: 0)) }
        await #expect(processExitsWith: .failure) {
            var buffer = FrameBuffer(.raw)
            _ = buffer.reframe(.delimited(by: ""))
        }
    }

    @Test func `Bytes behind the end of the stream trap`() async {
        await #expect(processExitsWith: .failure) {
            var buffer = FrameBuffer(.raw)
            buffer.streamEnded()
            _ = buffer.append("a")
        }
    }
}

/// How many bytes framers were shown.
private final class Counter: @unchecked Sendable {
    // Proof for @unchecked Sendable: each test has its own, and is one task.
    var seen = 0
}

/// Lines, a byte at a time, counted.
private struct CountingLines: Framer {
    let counter: Counter

    init(_ counter: Counter) { self.counter = counter }

    mutating func advance(over bytes: RawSpan) -> FramerStep {
        for offset in 0..<bytes.byteCount {
            counter.seen += 1
            if bytes.byte(at: offset) == UInt8(ascii: "\n") {
                return .complete(byteCount: offset + 1, trailer: 1)
            }
        }
        return .incomplete
    }

    mutating func streamEnded() -> UnfinishedFrame { .deliver() }

    var frameByteCountMax: Int { 100 }
}
