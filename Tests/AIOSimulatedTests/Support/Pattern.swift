// Bytes that say where in a stream they belong, so that none can be missing, doubled or out of place unnoticed.

import AIO

/// A stream of bytes, whose period is no power of two.
struct Pattern: Sendable {
    private static let period = 251
    let byteCount: Int

    /// So many of them from `start` on.
    func bytes(at start: Int) -> Bytes {
        Bytes(
            (start..<start + byteCount).map { position in
                // Of a period that repeats, its number is in the byte too.
                UInt8(truncatingIfNeeded: position % Self.period + position / Self.period)
            })
    }
}
