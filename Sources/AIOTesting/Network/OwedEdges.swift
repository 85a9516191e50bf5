// Edges that epoll still has to report, because a fault made a socket say that nothing could be done when something could.

import AIOKernel

/// Edges that come a little later. Owned by the network, which lets them come, one a step.
struct OwedEdges {
    private var edges: [(file: SimulatedFile, mask: Readiness, due: MonotonicTime)] = []

    var isEmpty: Bool { edges.isEmpty }
    var deadline: MonotonicTime? { edges.lazy.map(\.due).min() }

    mutating func add(_ mask: Readiness, to file: SimulatedFile, due: MonotonicTime) {
        edges.append((file, mask, due))
    }

    func isDue(_ now: MonotonicTime) -> Bool { edges.contains { $0.due <= now } }

    /// The first that is due comes.
    mutating func pay(_ now: MonotonicTime) {
        guard let index = edges.firstIndex(where: { $0.due <= now }) else { return }
        let edge = edges.remove(at: index)
        edge.file.changed(edge.mask)
    }
}
