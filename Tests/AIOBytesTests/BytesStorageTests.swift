// What a value keeps alive, and how slices join.

import AIOBytes
import Testing

@Suite struct BytesStorageTests {
    @Test func `A compacted slice keeps its own bytes alive and no others`() {
        let slab = pattern(1_000)
        let slice = slab[300..<310]
        #expect(slice.heldByteCount == 1_000)
        let compact = slice.compacted()
        #expect(compact == slice)
        #expect(compact.startIndex == 0)
        #expect(compact.heldByteCount == 10)
    }

    @Test func `Compacting what is exact copies nothing`() {
        let exact = pattern(10)
        #expect(unsafe exact.compacted().baseAddress == exact.baseAddress)
        #expect(Bytes().compacted().isEmpty)
    }

    @Test func `Slices that lie side by side join at every split point`() {
        let whole = pattern(20)
        for middle in 0...20 {
            for end in middle...20 {
                let joined = whole[..<middle].extended(by: whole[middle..<end])
                #expect(joined == whole[..<end])
                #expect(joined?.isEmpty == true || joined?.startIndex == whole.startIndex)
            }
        }
        let later = whole[5..<8].extended(by: whole[8..<12])
        #expect(later?.startIndex == 5 && later?.endIndex == 12)
        #expect(whole[5..<8].extended(by: Bytes(whole[8..<12])) == whole[5..<12])
    }

    @Test func `Slices with a gap, in the wrong order, or of other slabs do not join`() {
        let whole = pattern(20)
        #expect(whole[..<5].extended(by: whole[6..<10]) == nil)
        #expect(whole[..<5].extended(by: whole[4..<10]) == nil)
        #expect(whole[5..<10].extended(by: whole[..<5]) == nil)
        #expect(whole[..<5].extended(by: pattern(20)[5..<10]) == nil)
        let literal: Bytes = "side by side"
        #expect(literal[..<5].extended(by: literal[5...]) == nil)
    }

    @Test func `Receives one after another join to the bytes that were sent`() {
        let pool = SlabPool()
        let first = pool.receive("he")
        let second = pool.receive("llo")
        #expect(first.extended(by: second) == "hello")
        #expect(second.extended(by: first) == nil)
    }

    @Test func `Appending to a span fills it up to its end`() {
        let pool = SlabPool()
        let (filled, bytes) = pool.receive(atMost: 5, expecting: 5) { span in
            span.append(copying: "ab")
            span.append(copying: Bytes())
            span.append(copying: "cde")
            return 5
        }
        #expect(filled == 5)
        #expect(bytes == "abcde")
    }
}
