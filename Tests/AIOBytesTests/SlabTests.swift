// The life of a block: pooled ones go back when their last slice goes, whichever slice that is.

import AIOBytes
import Testing

@Suite struct SlabTests {
    @Test func `The last slice, whichever it is, gives the block back`() {
        for last in 0..<4 {
            let pool = SlabPool(slabByteCount: 4_096)
            var slices = fourSlices(of: pool.receive(pattern(4_096)))
            retireCurrentSlab(of: pool)
            #expect(pool.liveSlabCount == 2)
            for index in slices.indices where index != last {
                slices[index] = nil
                #expect(pool.liveSlabCount == 2)
                #expect(pool.idleSlabCount == 0)
            }
            #expect(slices[last]?.isEmpty == false)
            slices[last] = nil
            #expect(pool.liveSlabCount == 1)
            #expect(pool.idleSlabCount == 1)
        }
    }

    private func fourSlices(of whole: Bytes) -> [Bytes?] {
        [whole[..<10], whole[10..<20], Bytes(whole[4_000...]), whole.extended(by: Bytes())]
    }

    /// Makes the pool let go of its current slab, which is full.
    private func retireCurrentSlab(of pool: SlabPool) {
        _ = pool.receive("x")
    }

    @Test func `A block that came back is used again`() {
        let pool = SlabPool(slabByteCount: 4_096)
        for round in 0..<100 {
            let bytes = pool.receive(pattern(4_096, from: round))
            #expect(bytes == pattern(4_096, from: round))
            bytes.delivered()
            #expect(pool.liveSlabCount <= 2)
            #expect(pool.idleSlabCount <= 1)
        }
    }

    @Test func `An empty slice does not keep a slab`() {
        let pool = SlabPool(slabByteCount: 4_096)
        let empty = pool.receive(pattern(4_096))[7..<7]
        _ = pool.receive("x")
        #expect(pool.liveSlabCount == 1)
        #expect(empty.isEmpty)
    }
}
