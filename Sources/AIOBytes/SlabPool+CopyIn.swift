// From memory that is used again at once to a slab: how a datagram gets from the batch that the kernel filled
// to where it can be kept.

extension SlabPool {
    /// A copy of `source` in the current slab, charged to its account as a receive is. Copies made one after
    /// another are adjacent, so small ones share a slab. What is longer than a slab gets its own storage.
    package func copyIn(_ source: RawSpan) -> Bytes {
        let byteCount = source.byteCount
        guard byteCount > 0 else { return Bytes() }
        guard byteCount <= slabByteCount else { return Bytes(copying: source) }
        // SAFETY: the span's memory is read before the closure returns.
        return unsafe source.withUnsafeBytes { from in
            receive(atMost: byteCount, expecting: byteCount) { span in
                // SAFETY: a slab with room for `byteCount` was asked for, so as many are free.
                unsafe span.withUnsafeMutableBytes { buffer, initializedCount in
                    unsafe buffer.baseAddress!.copyMemory(from: from.baseAddress!, byteCount: byteCount)
                    initializedCount = byteCount
                }
                return byteCount
            }.bytes
        }
    }
}
