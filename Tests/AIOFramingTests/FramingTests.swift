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
}
