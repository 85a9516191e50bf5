// Looking at the bytes of a span, one at a time: for framers, ours and the program's.

extension RawSpan {
    /// The byte at `offset`. It traps if there is none.
    @inlinable @inline(__always)
    public func byte(at offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < byteCount, "offset out of bounds")
        // SAFETY: the offset is in bounds, and any byte is a UInt8.
        return unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
    }
}
