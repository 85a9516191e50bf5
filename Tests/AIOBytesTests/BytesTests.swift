// The value itself: initialisers, the memory it shows, and the rules for what it keeps.

import AIOBytes
import Testing

@Suite struct BytesTests {
    @Test func `An empty value holds no memory, and so does an empty slice`() {
        let empty = Bytes()
        #expect(empty.isEmpty)
        #expect(empty.count == 0)
        #expect(empty.heldByteCount == 0)
        #expect(unsafe empty.baseAddress == nil)

        let slice = Bytes([1, 2, 3])[2..<2]
        #expect(slice.isEmpty)
        #expect(slice.startIndex == 2 && slice.endIndex == 2)
        #expect(slice.heldByteCount == 0)
        #expect(slice == empty)
        #expect(Bytes([UInt8]()).heldByteCount == 0)
        #expect(Bytes("".dropFirst()).heldByteCount == 0)
    }

    @Test func `A value is at most four words`() {
        #expect(MemoryLayout<Bytes>.size <= 32)
        #expect(MemoryLayout<Bytes?>.size <= 32)
    }

    @Test func `Every initialiser copies the same bytes`() {
        let array: [UInt8] = [0, 1, 127, 128, 255]
        let fromArray = Bytes(array)
        let fromSlice = Bytes(([9] + array)[1...])
        let fromLazy = Bytes(array.lazy.map { $0 })
        let fromSpan = unsafe array.withUnsafeBytes { unsafe Bytes(copying: RawSpan(_unsafeBytes: $0)) }
        let fromStride = Bytes(
            sequence(state: 0) { (i: inout Int) -> UInt8? in
                defer { i += 1 }
                return i < array.count ? array[i] : nil
            })
        for bytes in [fromArray, fromSlice, fromLazy, fromSpan, fromStride] {
            #expect(Array(bytes) == array)
            #expect(bytes.startIndex == 0)
            #expect(bytes.heldByteCount == array.count)
        }
        #expect(Array(Bytes(copying: RawSpan())) == [])
    }

    @Test func `A value made from a slice starts at 0 and shares its memory`() {
        let whole = pattern(100)
        let slice = whole[40..<60]
        let fresh = Bytes(slice)
        #expect(fresh.startIndex == 0 && fresh.endIndex == 20)
        #expect(fresh == slice)
        #expect(unsafe fresh.baseAddress == slice.baseAddress)
        #expect(fresh.heldByteCount == 100)
    }

    @Test func `Joining copies all parts into one exact allocation`() {
        let whole = pattern(10)
        let joined = Bytes(joining: [whole[3..<5], Bytes(), "ab", whole[9...]])
        #expect(Array(joined) == [3, 4, 97, 98, 9])
        #expect(joined.heldByteCount == 5)
        #expect(joined.startIndex == 0)
        #expect(Bytes(joining: []).heldByteCount == 0)
        #expect(Bytes(joining: [Bytes(), Bytes()]).isEmpty)
    }

    @Test func `The span covers the slice and nothing else`() throws {
        let slice = pattern(50)[10..<13]
        let seen = slice.withRawSpan { span in
            (0..<span.byteCount).map { unsafe span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
        #expect(seen == [10, 11, 12])
        #expect(Bytes().withRawSpan { $0.byteCount } == 0)

        struct Refusal: Error {}
        #expect(throws: Refusal.self) { try slice.withRawSpan { _ throws(Refusal) in throw Refusal() } }
    }

    @Test func `A span holds the memory even when the value is not used again`() {
        func first(_ bytes: consuming Bytes) -> UInt8 {
            bytes.withRawSpan { unsafe $0.unsafeLoad(as: UInt8.self) }
        }
        #expect(first(pattern(10, from: 7)) == 7)
    }
}
