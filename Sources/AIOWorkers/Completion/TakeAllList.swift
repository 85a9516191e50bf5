// The interlocked list: many threads push, one takes everything. Workers push the completions of a pass here
// and the program drains them; the other way, the program pushes submissions and a worker drains those.

import Synchronization

/// A lock-free list with many producers and one consumer that takes all of it at once.
///
/// The head is the newest node. A push links its nodes in front of the head it saw and swaps the head with
/// compare-exchange; `takeAll` swaps it with nothing and reverses what it got. Because single nodes are never
/// popped, a head that was seen cannot come back with another successor: there is no ABA problem, and
/// therefore neither tags nor hazard pointers. A queue with a tail (Vyukov's, for one) was rejected: it needs
/// a stub node and has a moment in which the consumer sees neither empty nor next.
///
/// Order: nodes of one push stay in order, pushes of one thread stay in order.
///
/// Orderings: the push's compare-exchange releases the nodes' contents to `takeAll`'s exchange, which
/// acquires. Both, and `isEmpty`, are sequentially consistent besides, because `Parking` relies on a single
/// order of pushes and announcements (docs/models/parking.pml).
@safe package struct TakeAllList<Link: ListLink>: ~Copyable, Sendable {
    private let head = unsafe Atomic<Unmanaged<ListNode>?>(nil)

    package init() {}

    /// Adds the nodes of `chain`, which must not be empty. Returns whether the list was empty before: of all
    /// who push onto it until it is taken, only that one has to see to it that the consumer is awake.
    package borrowing func push(_ chain: consuming NodeChain<Link>) -> Bool {
        var chain = chain
        let oldest = unsafe chain.detach()
        var seen = unsafe head.load(ordering: .relaxed)
        let newest = unsafe NodeChain<Link>.reverse(oldest, onto: seen)
        while true {
            let (exchanged, original) = unsafe head.compareExchange(
                expected: seen, desired: newest, ordering: .sequentiallyConsistent)
            if exchanged { return unsafe original == nil }
            // Only the oldest node points at the head; the links between the nodes stay as they are.
            unsafe seen = original
            unsafe Link.setNext(of: oldest.takeUnretainedValue(), to: seen)
        }
    }

    /// Adds one node: what a chain of one would do, without the chain.
    package borrowing func push(_ node: ListNode) -> Bool {
        // SAFETY: balanced when the chain that `takeAll` makes gives the node out.
        let entry = unsafe Unmanaged.passRetained(node)
        var seen = unsafe head.load(ordering: .relaxed)
        while true {
            unsafe Link.setNext(of: node, to: seen)
            let (exchanged, original) = unsafe head.compareExchange(
                expected: seen, desired: entry, ordering: .sequentiallyConsistent)
            if exchanged { return unsafe original == nil }
            unsafe seen = original
        }
    }

    /// Takes everything, oldest first. The consumer only.
    package borrowing func takeAll() -> NodeChain<Link> {
        // A look first: it saves the locked exchange on the many passes that find nothing.
        guard unsafe head.load(ordering: .sequentiallyConsistent) != nil else { return NodeChain() }
        return unsafe NodeChain(reversing: head.exchange(nil, ordering: .sequentiallyConsistent))
    }

    package borrowing func isEmpty() -> Bool {
        unsafe head.load(ordering: .sequentiallyConsistent) == nil
    }

    deinit {
        // What nobody took any more is released with the list.
        _ = takeAll()
    }
}
