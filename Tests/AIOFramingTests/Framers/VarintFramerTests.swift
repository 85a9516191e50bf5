// Frames behind variable-length integers, as long as those may be, at every split.

import AIOBytes
import AIOFraming
import Testing

@Suite struct VarintFramerTests {
    @Test func `Lengths of one byte and of several`() {
        FramingCase.varint(max: 300).expect(["abc", "", "x"], held: 1, of: [3, 97, 98, 99, 0, 1, 120, 5])
        let long = Array(repeating: UInt8(7), count: 300)
        let outcome = FramingCase.varint(max: 300).outcome(of: [Bytes([0xac, 0x02] + long)], hasEnded: false)
        #expect(outcome.frames == [Outcome.Frame(payload: long, rawByteCount: 302)])
    }

    @Test func `A number may be written in more bytes than it needs`() {
        FramingCase.varint(max: 3).expect(["a", ""], of: [0x81, 0x80, 0x00, 97, 0x80, 0x00])
        FramingCase.varint(max: 3)
            .expect(["a"], of: [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 97])
    }

    @Test func `A number of more than 64 bits is malformed`() {
        let nine = Array(repeating: UInt8(0x80), count: 9)
        for last in [0x02, 0x7f, 0x80, 0x81, 0xff] as [UInt8] {
            FramingCase.varint(max: 3, .truncate)
                .expect([], failure: .malformedLength, held: 12, of: Bytes(nine + [last, 0, 0]))
        }
        // Of nine bytes one cannot tell yet.
        FramingCase.varint(max: 3).expect([], held: 9, of: Bytes(nine))
    }

    @Test func `Lengths that no memory could hold are too long, or are cut short and never end`() {
        let most = Array(repeating: UInt8(0xff), count: 9) + [1]
        FramingCase.varint(max: .max).expect([], failure: .tooLong, held: 12, of: Bytes(most + [1, 2]))
        FramingCase.varint(max: 2, .truncate).expect([[1, 2]], of: Bytes(most + [1, 2, 3, 4]))
    }

    @Test(arguments: OverlongFrame.each) func `A frame may be as long as the maximum, and no longer`(
        overlong: OverlongFrame
    ) {
        for max in [0, 1, 5] {
            for excess in -1...2 where max + excess >= 0 {
                let payload = Array(repeating: UInt8(ascii: "x"), count: max + excess)
                let frame = [UInt8(max + excess)] + payload
                FramingCase.varint(max: max, overlong).expectAsReference(Bytes(frame + frame))
            }
        }
    }

    @Test func `The end of the stream inside of a frame is an error`() {
        FramingCase.varint(max: 5).expect([], failure: .unfinished, held: 1, of: [0x80], hasEnded: true)
        FramingCase.varint(max: 5).expect(
            ["a"], failure: .unfinished, held: 1, of: [1, 97, 1], hasEnded: true)
        FramingCase.varint(max: 5).expect(["a"], of: [1, 97], hasEnded: true)
    }

    @Test(arguments: OverlongFrame.each)
    func `Random frames in random pieces are as the reference has them`(overlong: OverlongFrame) {
        for max in [0, 1, 3, 9, 200] {
            FramingCase.varint(max: max, overlong)
                .expectAsReference(
                    randomOf: [[0], [1], [2], [5], [0x80], [0x81], [0xff], [0x80, 0x80, 0x80, 0x80]],
                    seeds: 1...300)
        }
    }

    @Test func `The window lets in the longest frame and the longest length`() {
        #expect(Framing.varint(byteCountMax: 100).frameByteCountMax == 110)
        #expect(Framing.varint(byteCountMax: .max).frameByteCountMax == .max)
    }
}
