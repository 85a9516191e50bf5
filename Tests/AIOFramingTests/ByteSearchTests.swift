// The search for a byte, at every place and with every byte beside it that could be taken for it.

import AIOBytes
import Testing

@testable import AIOFraming

@Suite struct ByteSearchTests {
    @Test func `The first of a byte is found at every place, in spans of every length and alignment`() {
        for skipped in 0..<8 {
            for count in 0...40 {
                for place in 0..<count {
                    var array = Array(repeating: UInt8(1), count: skipped + count)
                    array[skipped + place] = 10
                    array[array.count - 1] = 10
                    Bytes(array)[skipped...].withRawSpan { span in
                        #expect(span.firstOffset(of: 10, from: 0, upTo: count) == place)
                        #expect(span.firstOffset(of: 10, from: place, upTo: count) == place)
                        #expect(span.firstOffset(of: 10, from: 0, upTo: place) == nil)
                        let next = place + 1 < count ? count - 1 : nil
                        #expect(span.firstOffset(of: 10, from: place + 1, upTo: count) == next)
                    }
                }
            }
        }
    }

    @Test func `No byte is taken for another, whatever stands beside it`() {
        for sought in UInt8.min...UInt8.max {
            let others = [sought &+ 1, sought &- 1, sought ^ 0x80, 0, 0xff, 0x80, 0x7f, 1].filter {
                $0 != sought
            }
            for other in others {
                for place in 0..<8 {
                    var array = Array(repeating: other, count: 8)
                    array[place] = sought
                    Bytes(array).withRawSpan {
                        #expect($0.firstOffset(of: sought, from: 0, upTo: 8) == place)
                    }
                }
                Bytes(repeatElement(other, count: 16)).withRawSpan {
                    #expect($0.firstOffset(of: sought, from: 0, upTo: 16) == nil)
                }
            }
        }
    }
}
