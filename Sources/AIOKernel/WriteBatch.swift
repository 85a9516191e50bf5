// The parts of one vectored write, on their way from a connection's outbound queue to `Kernel.send`. One
// batch is owned by a worker and reused for every connection, so that writing allocates nothing.

package import AIOBytes

/// An ordered list of parts to be written with one call. It owns its `Bytes`, so what a kernel reads stays
/// alive until `removeAll`.
package final class WriteBatch {
    /// How many parts one call carries: enough to fill a socket buffer with small replies, far below
    /// `IOV_MAX` (1,024).
    package static let partsMax = 64

    package private(set) var parts: [Bytes] = []
    package private(set) var byteCount = 0

    package init() { parts.reserveCapacity(Self.partsMax) }

    package var isFull: Bool { parts.count >= Self.partsMax }

    /// Adds a part. Empty parts are skipped: they would cost an iovec and carry nothing.
    package func append(_ part: Bytes) {
        precondition(!isFull, "a write batch holds \(Self.partsMax) parts")
        guard !part.isEmpty else { return }
        parts.append(part)
        byteCount += part.count
    }

    package func removeAll() {
        parts.removeAll(keepingCapacity: true)
        byteCount = 0
    }
}
