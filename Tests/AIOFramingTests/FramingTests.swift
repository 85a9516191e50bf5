// What a framing says about itself.

import AIOBytes
import AIOFraming
import Testing

@Suite struct FramingTests {
    @Test func `A framing that makes no sense says which parameter it is`() {
        let senseless: [(Framing, String)] = [
            (.lines(byteCountMax: -1), "byteCountMax"), (.delimited(by: ""), "delimiter"),
            (.delimited(by: ",", byteCountMax: -1), "byteCountMax"),
            (.lengthPrefixed(byteCount: 0), "byteCount"), (.lengthPrefixed(byteCount: 9), "byteCount"),
            (.lengthPrefixed(byteCount: -1), "byteCount"),
            (.lengthPrefixed(headerByteCount: -1), "headerByteCount"),
            (.lengthPrefixed(headerByteCount: .max), "headerByteCount"),
            (.lengthPrefixed(byteCountMax: -1), "byteCountMax"), (.varint(byteCountMax: -1), "byteCountMax"),
            (.fixed(byteCount: 0), "byteCount"), (.fixed(byteCount: .min), "byteCount"),
            (.netstrings(byteCountMax: -1), "byteCountMax"), (.heads(byteCountMax: -1), "byteCountMax"),
        ]
        for (framing, parameter) in senseless {
            #expect(framing.problem?.hasPrefix("\(parameter): ") == true)
        }
    }

    @Test func `The defaults are those of the documentation`() {
        let limits: [(Framing, Int)] = [
            (.lines(), 8_192 + 2), (.delimited(by: "abc"), 65_536 + 3), (.lengthPrefixed(), 1_048_576 + 4),
            (.varint(), 1_048_576 + 10), (.netstrings(), 65_536 + 5 + 2), (.heads(), 65_536 + 2),
            (.fixed(byteCount: 7), 7), (.raw, 1),
        ]
        for (framing, frameByteCountMax) in limits {
            #expect(framing.problem == nil)
            #expect(framing.frameByteCountMax == frameByteCountMax)
            #expect(framing.overlongReply == nil)
        }
        #expect(Framing.raw.isRaw && !Framing.lines().isRaw)
        #expect(Framing.lines(overlong: .reply("x")).overlongReply == "x")
    }
}
