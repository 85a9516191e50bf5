// Finds a byte in a span, eight at a time: what lines, delimiters and heads spend their time with.

// Theory of operation
//
// A word of eight bytes is loaded and compared with the byte sought in all eight places at once: xor makes
// the byte sought zero, and `(x - 0x01…) & ~x & 0x80…` has a bit set in the lowest byte that is zero (bits
// above it may be wrong, those below are not). On a little-endian machine the lowest byte is the first. What
// is left of less than a word is looked at byte by byte. Portable Swift on purpose: no libc in here.

extension RawSpan {
    /// The offset of the first `byte` at or after `start` and before `end`, or nil.
    @inline(__always)
    func firstOffset(of byte: UInt8, from start: Int, upTo end: Int) -> Int? {
        assert(start >= 0 && end <= byteCount)
        let sought = 0x0101_0101_0101_0101 &* UInt64(byte)
        var offset = start
        while offset &+ 8 <= end {
            // SAFETY: `offset + 8 <= end <= byteCount`; any eight bytes are a UInt64.
            let word = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
            let difference = UInt64(littleEndian: word) ^ sought
            let zeros = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            if zeros != 0 { return offset &+ zeros.trailingZeroBitCount &>> 3 }
            offset &+= 8
        }
        while offset < end {
            if self.byte(at: offset) == byte { return offset }
            offset &+= 1
        }
        return nil
    }
}
