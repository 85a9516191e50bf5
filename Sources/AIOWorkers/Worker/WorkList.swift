// What a pass leaves for later: connections that have more to read or to write. Filled and drained by the
// worker.

/// A list that is filled for the next round while this round is walked, in two buffers that are kept: no
/// allocation in steady state.
struct WorkList<Element>: ~Copyable {
    private var items: [Element] = []
    private var spare: [Element] = []

    var isEmpty: Bool { items.isEmpty }

    mutating func append(_ element: Element) { items.append(element) }

    /// Takes what is in the list now; what is appended afterwards stays for the next round. The caller gives
    /// the buffer back with `recycle`.
    mutating func takeRound() -> [Element] {
        var round: [Element] = []
        swap(&round, &items)
        swap(&items, &spare)
        return round
    }

    mutating func recycle(_ round: consuming [Element]) {
        // A burst's memory is given back.
        round.removeAll(keepingCapacity: round.count <= 1_024)
        spare = round
    }
}
