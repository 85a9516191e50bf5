// How many connections each address has open, for servers that limit it.

import AIOKernel

/// Sendable, unchecked: `counts` is under `lock`.
final class PeerCounts: @unchecked Sendable {
    private let max: Int
    private let lock = PosixLock()
    private var counts: [IPAddress: Int] = [:]

    init(max: Int) { self.max = max }

    /// Counts one more connection; false at the limit. Peers without an address are always admitted.
    func admit(_ peer: Endpoint) -> Bool {
        guard let address = peer.address else { return true }
        return lock.withLock {
            let count = counts[address, default: 0]
            guard count < max else { return false }
            counts[address] = count + 1
            return true
        }
    }

    func forget(_ peer: Endpoint) {
        guard let address = peer.address else { return }
        lock.withLock {
            let count = counts[address, default: 0] - 1
            counts[address] = count > 0 ? count : nil
        }
    }
}
