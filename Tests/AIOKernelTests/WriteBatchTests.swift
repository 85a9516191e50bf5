// The batch counts what it carries and takes no empty parts.

import AIOBytes
import Testing

@testable import AIOKernel

@Suite struct WriteBatchTests {
    @Test func `a batch keeps parts in order and counts their bytes`() {
        let batch = WriteBatch()
        batch.append("ab")
        batch.append("")
        batch.append("cde")
        #expect(batch.parts.map(Array.init) == [Array("ab".utf8), Array("cde".utf8)])
        #expect(batch.byteCount == 5)
        batch.removeAll()
        #expect(batch.parts.isEmpty && batch.byteCount == 0)
    }

    @Test func `a batch is full at its limit`() {
        let batch = WriteBatch()
        for _ in 0..<WriteBatch.partsMax { batch.append("x") }
        #expect(batch.isFull)
    }
}
