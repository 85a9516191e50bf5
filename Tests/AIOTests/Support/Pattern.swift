// Bytes that say where in a stream they belong, so that a receiver can check every one of them; and chance
// that can be repeated.

import AIOBytes
import Glibc

/// A stream of bytes without end in which each position is known. Comparing is a memcmp a slice.
enum Pattern {
    static let period = 1 << 20
    /// Two periods, so that any slice of up to one is contiguous.
    private static let block: Bytes = {
        var generator = SeededGenerator(state: 1)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(2 * period)
        while bytes.count < period {
            var word = generator.next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        return Bytes(bytes + bytes)
    }()

    /// The bytes at `position`; at most one period of them.
    static func bytes(at position: Int, count: Int) -> Bytes {
        let start = block.startIndex + position % period
        return block[start..<start + count]
    }

    /// Whether `bytes` are those at `position`.
    static func matches(_ bytes: Bytes, at position: Int) -> Bool {
        bytes.count <= period && bytes == self.bytes(at: position, count: bytes.count)
    }
}

/// SplitMix64: the same seed, the same test.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Whether a sanitizer is in this process: then tests move fewer bytes.
let isSanitized: Bool = unsafe dlsym(nil, "__tsan_init") != nil || dlsym(nil, "__asan_init") != nil

/// The seed of a random test: from AIO_TEST_SEED to replay one, else new each time.
func testSeed() -> UInt64 {
    if let text = unsafe getenv("AIO_TEST_SEED"), let seed = unsafe UInt64(String(cString: text)) {
        return seed
    }
    return UInt64.random(in: 0...UInt64.max)
}
