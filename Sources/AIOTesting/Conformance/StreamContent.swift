// The bytes that checks send: each says where in its stream it belongs.

import AIOBytes

/// An endless stream of bytes in which every position is known, so that a byte that is lost, twice there or
/// in the wrong place is seen where it happens.
struct StreamContent: Sendable {
    /// Of one slice.
    static let byteCountMax = 65_536
    /// A prime, so that no power of two hides behind it.
    private static let period = 65_521

    private static let table: Bytes = {
        var random = SeededRandom(seed: 0)
        var bytes: [UInt8] = []
        while bytes.count < period {
            var word = random.next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        bytes.removeLast(bytes.count - period)
        return Bytes(bytes + bytes + bytes.prefix(byteCountMax - period))
    }()

    /// Unlike that of other streams.
    let number: Int

    func bytes(at position: Int, count: Int) -> Bytes {
        let start = (position + number * 9_973) % Self.period
        return Bytes(Self.table[start..<start + count])
    }

    /// The first position, from `position` on, at which `bytes` are not those of the stream; nil if they all
    /// are.
    func mismatch(of bytes: Bytes, at position: Int) -> Int? {
        var left = bytes
        var next = position
        while !left.isEmpty {
            let part = left.prefix(Self.byteCountMax)
            let expected = self.bytes(at: next, count: part.count)
            if part != expected { return next + (zip(part, expected).prefix { $0 == $1 }.count) }
            next += part.count
            left = left.dropFirst(part.count)
        }
        return nil
    }
}
