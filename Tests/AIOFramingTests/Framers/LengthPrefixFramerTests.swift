// Frames behind lengths of every size, at every split, and lengths that no memory could hold.

import AIOBytes
import AIOFraming
import Testing

@Suite struct LengthPrefixFramerTests {
    private typealias Field = FramingCase.LengthField

    /// `number` in `byteCount` bytes, the most significant first.
    private func bytes(_ number: UInt64, _ byteCount: Int) -> [UInt8] {
        (0..<byteCount).reversed().map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
    }

    @Test(arguments: 1...8) func `Lengths of each size and order`(byteCount: Int) {
        let three = bytes(3, byteCount)
        let none = bytes(0, byteCount)
        FramingCase.lengthPrefixed(Field(byteCount: byteCount), max: 3)
            .expect(
                ["abc", "", "xyz"], held: byteCount - 1,
                of: Bytes(three + "abc".utf8 + none + three + "xyz".utf8 + three.dropLast()))
        FramingCase.lengthPrefixed(Field(byteCount: byteCount, order: .littleEndian), max: 3)
            .expect(["abc", ""], of: Bytes(three.reversed() + "abc".utf8 + none))
    }

    @Test func `The bytes of a length stand for what they are`() {
        let numbers: [UInt64] = [0x01, 0x0102, 0x010203]
        for number in numbers {
            for byteCount in 3...8 {
                for order in [Framing.ByteOrder.bigEndian, .littleEndian] {
                    let field = bytes(number, byteCount)
                    let stream =
                        (order == .bigEndian ? field : field.reversed())
                        + Array(repeating: UInt8(7), count: 70_000)
                    let frames = FramingCase.lengthPrefixed(
                        Field(byteCount: byteCount, order: order), max: 70_000)
                    let outcome = frames.outcome(of: [Bytes(stream)], hasEnded: false)
                    #expect(outcome.frames.first?.payload.count == (number <= 70_000 ? Int(number) : nil))
                }
            }
        }
    }

    @Test func `Bytes before the length, which belong to the frame if so wanted`() {
        let stream: Bytes = "T\0\u{2}abU\0\0V\0\u{1}c"
        FramingCase.lengthPrefixed(Field(byteCount: 2, headerByteCount: 1), max: 5)
            .expect(["ab", "", "c"], of: stream)
        FramingCase.lengthPrefixed(Field(byteCount: 2, headerByteCount: 1, keepsHeader: true), max: 5)
            .expect(["T\0\u{2}ab", "U\0\0", "V\0\u{1}c"], of: stream)
    }

    @Test func `A length may count itself, and what is before it`() {
        FramingCase.lengthPrefixed(
            Field(byteCount: 2, headerByteCount: 1, counts: .fieldAndPayload), max: 5
        ).expect(["ab", ""], of: "T\0\u{4}abT\0\u{2}")
        FramingCase.lengthPrefixed(Field(byteCount: 2, headerByteCount: 1, counts: .wholeFrame), max: 5)
            .expect(["ab", ""], of: "T\0\u{5}abT\0\u{3}")
    }

    @Test func `A length that is less than what it has to count is malformed`() {
        let counting = FramingCase.lengthPrefixed(Field(byteCount: 2, counts: .fieldAndPayload), max: 5)
        counting.expect(["a"], failure: .malformedLength, held: 3, of: "\0\u{3}a\0\u{1}b")
        counting.expect([], failure: .malformedLength, held: 2, of: "\0\0")
        FramingCase.lengthPrefixed(
            Field(byteCount: 2, headerByteCount: 1, counts: .wholeFrame), max: 5, .truncate
        ).expect([], failure: .malformedLength, held: 3, of: "T\0\u{2}")
    }

    @Test(arguments: OverlongFrame.each) func `A frame may be as long as the maximum, and no longer`(
        overlong: OverlongFrame
    ) {
        for max in [0, 1, 5] {
            for excess in -1...2 where max + excess >= 0 {
                let length = UInt64(max + excess)
                let payload = Array(repeating: UInt8(ascii: "x"), count: max + excess)
                for field in [
                    Field(byteCount: 1), Field(byteCount: 2, headerByteCount: 2, keepsHeader: true),
                ] {
                    let header = Array(repeating: UInt8(9), count: field.headerByteCount)
                    let frame = header + bytes(length, field.byteCount) + payload
                    FramingCase.lengthPrefixed(field, max: max, overlong)
                        .expectAsReference(Bytes(frame + frame))
                }
            }
        }
    }

    @Test func `A frame that is cut short is followed by the next`() {
        FramingCase.lengthPrefixed(Field(byteCount: 1), max: 2, .truncate)
            .expect(["ab", "x", "cd", ""], of: "\u{5}abABC\u{1}x\u{3}cde\0")
        FramingCase.lengthPrefixed(Field(byteCount: 1), max: 0, .truncate).expect(["", ""], of: "\u{2}ab\0")
    }

    @Test(arguments: [.bigEndian, .littleEndian] as [Framing.ByteOrder])
    func `Lengths that no memory could hold are too long, or are cut short and never end`(
        order: Framing.ByteOrder
    ) {
        for byteCount in [4, 8] {
            for top in [0x7f, 0x80, 0xff] as [UInt8] {
                let field = [top] + Array(repeating: 0xff, count: byteCount - 1)
                let stream = Bytes((order == .bigEndian ? field : field.reversed()) + [1, 2, 3, 4])
                for counts in [Framing.LengthCoverage.payload, .fieldAndPayload, .wholeFrame] {
                    let length = Field(byteCount: byteCount, order: order, counts: counts)
                    FramingCase.lengthPrefixed(length, max: 1 << 20)
                        .expect([], failure: .tooLong, held: stream.count, of: stream)
                    FramingCase.lengthPrefixed(length, max: 2, .truncate).expect([[1, 2]], of: stream)
                }
            }
        }
        // Within the maximum, if the program says so; nothing is set aside for it.
        FramingCase.lengthPrefixed(Field(byteCount: 8), max: .max)
            .expect([], held: 9, of: [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])
        FramingCase.lengthPrefixed(Field(byteCount: 8), max: .max)
            .expect([], failure: .tooLong, held: 8, of: [0x80, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `The end of the stream inside of a frame is an error`() {
        let frames = FramingCase.lengthPrefixed(Field(byteCount: 2), max: 5)
        frames.expect([], failure: .unfinished, held: 1, of: "\0", hasEnded: true)
        frames.expect([], failure: .unfinished, held: 2, of: "\0\u{1}", hasEnded: true)
        frames.expect(["a"], failure: .unfinished, held: 3, of: "\0\u{1}a\0\u{2}b", hasEnded: true)
        frames.expect(["a"], of: "\0\u{1}a", hasEnded: true)
        // Of a frame that was cut short nothing is missing.
        FramingCase.lengthPrefixed(Field(byteCount: 1), max: 1, .truncate)
            .expect(["a"], of: "\u{9}abc", hasEnded: true)
    }

    @Test(arguments: OverlongFrame.each)
    func `Random frames in random pieces are as the reference has them`(overlong: OverlongFrame) {
        let fields = [
            Field(byteCount: 1), Field(byteCount: 2, order: .littleEndian),
            Field(byteCount: 3, headerByteCount: 2, counts: .fieldAndPayload),
            Field(byteCount: 1, headerByteCount: 5, counts: .wholeFrame, keepsHeader: true),
            Field(byteCount: 8),
        ]
        for field in fields {
            for max in [0, 1, 3, 9] {
                FramingCase.lengthPrefixed(field, max: max, overlong)
                    .expectAsReference(
                        randomOf: [[0], [0, 0, 0], [1], [2], [6], [9], [255]], seeds: 1...200)
            }
        }
    }

    @Test func `The window lets in the longest frame and its header`() {
        #expect(Framing.lengthPrefixed(headerByteCount: 3, byteCountMax: 10).frameByteCountMax == 17)
        #expect(Framing.lengthPrefixed(byteCountMax: .max).frameByteCountMax == .max)
    }
}
