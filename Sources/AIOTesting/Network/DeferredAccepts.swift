// Connections that a listener with `TCP_DEFER_ACCEPT` has not been told of: their peers have not sent anything. Owned by the
// network, which tells it when something arrives, or when the time is over.

import AIOKernel

/// Connections that are made, and wait for their first bytes to be put among those that can be accepted.
struct DeferredAccepts {
    private var list: [(stream: SimulatedStream, listener: SimulatedStream, due: MonotonicTime)] = []

    var deadline: MonotonicTime? { list.lazy.map(\.due).min() }

    mutating func add(_ stream: SimulatedStream, for listener: SimulatedStream, until due: MonotonicTime) {
        list.append((stream, listener, due))
    }

    func isDue(_ now: MonotonicTime) -> Bool { list.contains { $0.due <= now } }

    /// Something has arrived at `stream`: it waits no longer, if it did.
    mutating func arrived(at stream: SimulatedStream) {
        if list.isEmpty { return }
        guard let index = list.firstIndex(where: { $0.stream === stream }) else { return }
        admit(at: index)
    }

    /// The first whose time is over can be accepted as it is.
    mutating func admitDue(_ now: MonotonicTime) {
        if let index = list.firstIndex(where: { $0.due <= now }) { admit(at: index) }
    }

    /// The listener is closed: those that waited for it are its to reset.
    mutating func take(of listener: SimulatedStream) -> [SimulatedStream] {
        defer { list.removeAll { $0.listener === listener } }
        return list.filter { $0.listener === listener }.map(\.stream)
    }

    private mutating func admit(at index: Int) {
        let deferred = list.remove(at: index)
        deferred.listener.waiting.append(deferred.stream)
        deferred.listener.changed(.readable)
    }
}
