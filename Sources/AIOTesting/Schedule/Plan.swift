// What a test wants to happen at a time, as one of the runners of a simulation.

import AIOKernel

/// Closures with their times. Sendable, unchecked: see `Runner`.
final class Plan: Runner, @unchecked Sendable {
    let name = "plan"
    private let time: SimulatedTime
    /// In the order of their times, and of equal times in that in which they came.
    @safe @exclusivity(unchecked) private var ahead: [(due: MonotonicTime, body: () -> Void)] = []

    init(time: SimulatedTime) { self.time = time }

    func add(at due: MonotonicTime, _ body: @escaping () -> Void) {
        let place = ahead.firstIndex { $0.due > due } ?? ahead.endIndex
        ahead.insert((due, body), at: place)
    }

    func removeAll() { ahead = [] }

    var canStep: Bool { ahead.first.map { $0.due <= time.now } ?? false }
    var deadline: MonotonicTime? { ahead.first?.due }
    var isAlive: Bool { false }
    var waitsFor: String? { nil }
    func step() { ahead.removeFirst().body() }
}
