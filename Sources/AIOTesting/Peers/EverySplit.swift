// The arrival `.everySplit`: which runs of a test's body it takes to split what a peer sends at each place. Kept by
// withMockServer from one run of the body to the next.

/// The plan of the runs.
///
/// In the first run nothing is split, and it is counted what each peer sends that is to be split. In each of the others one
/// peer's bytes are split at one place: a byte earlier than that is the end of a read, always.
///
/// Sendable, unchecked: see `Simulation`.
final class EverySplit: @unchecked Sendable {
    private static let runsMax = 4_096

    private var isFirst = true
    /// Of the first run.
    private var counted: [(index: Int, peer: MockPeer)] = []
    /// Still to come, the next one last.
    private var ahead: [(peer: Int, position: Int)] = []
    private var current: (peer: Int, position: Int)?

    /// How what this peer sends is to arrive in this run.
    func arrival(ofPeer index: Int, asking arrival: Arrival) -> Arrival {
        guard arrival == .everySplit else { return arrival }
        guard let current, current.peer == index else { return .asSent }
        return .split(at: current.position)
    }

    func note(_ peer: MockPeer, index: Int) { if isFirst { counted.append((index, peer)) } }

    /// Goes on to the next run; false if there is none.
    func next() throws(SimulationError) -> Bool {
        if isFirst {
            isFirst = false
            for (index, peer) in counted.reversed() {
                // A split before the first byte or behind the last is none.
                for position in stride(from: peer.sentByteCount - 1, to: 0, by: -1) {
                    ahead.append((index, position))
                }
            }
            counted = []
            guard ahead.count <= Self.runsMax else {
                throw SimulationError(
                    """
                    there are \(ahead.count) places to split what the peers send, and .everySplit takes \
                    \(Self.runsMax) at most; send less, or choose some with .split(at:)
                    """)
            }
        }
        current = ahead.popLast()
        return current != nil
    }
}
