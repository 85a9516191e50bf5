// What travels on the two lock-free lists: from workers to the program (completions) and from the program to
// a worker (submissions). A connection, listener, timer or posted value *is* its own node, so nothing is
// allocated to announce it, and it is in each list at most once: that bounds the lists.

public import Synchronization

/// An object that can be linked into a completion list and into a submission list, at most once into each.
///
/// Sendable, unchecked: each link belongs to whoever holds the node for that list. Before a push that is the
/// pusher, who became it by setting the node's "is in the list" flag under the node's own lock; from the
/// push's release until `takeAll`'s acquire it is the list; afterwards the consumer, until it clears the
/// flag.
@safe @usableFromInline package class ListNode: @unchecked Sendable {
    // Atomic, but only ever loaded and stored relaxed: plain moves. (Ordinary properties would cost a
    // run-time check of exclusive access each time; the lists' own compare-exchange and exchange order them
    // between threads.)
    @usableFromInline package let nextCompletion = unsafe Atomic<Unmanaged<ListNode>?>(nil)
    @usableFromInline package let nextSubmission = unsafe Atomic<Unmanaged<ListNode>?>(nil)

    package init() {}

    /// What the worker does when it takes this node off its submission list. Worker thread only.
    package func perform(on worker: Worker) {
        preconditionFailure("\(type(of: self)) was submitted, but says nothing of what to do on a worker")
    }
}

/// Which of a node's links a list uses.
@usableFromInline package protocol ListLink {
    static func next(of node: ListNode) -> Unmanaged<ListNode>?
    static func setNext(of node: ListNode, to next: Unmanaged<ListNode>?)
}

@usableFromInline package enum CompletionLink: ListLink {
    @inlinable package static func next(of node: ListNode) -> Unmanaged<ListNode>? {
        unsafe node.nextCompletion.load(ordering: .relaxed)
    }
    @inlinable package static func setNext(of node: ListNode, to next: Unmanaged<ListNode>?) {
        unsafe node.nextCompletion.store(next, ordering: .relaxed)
    }
}

@usableFromInline package enum SubmissionLink: ListLink {
    @inlinable package static func next(of node: ListNode) -> Unmanaged<ListNode>? {
        unsafe node.nextSubmission.load(ordering: .relaxed)
    }
    @inlinable package static func setNext(of node: ListNode, to next: Unmanaged<ListNode>?) {
        unsafe node.nextSubmission.store(next, ordering: .relaxed)
    }
}

/// Nodes in the order they were appended, linked through `Link`. One owner; each node in it is retained once.
@safe @usableFromInline package struct NodeChain<Link: ListLink>: ~Copyable {
    @usableFromInline package var first: Unmanaged<ListNode>?
    @usableFromInline package var last: Unmanaged<ListNode>?
    @usableFromInline package var count = 0

    @inlinable package init() {}

    @inlinable package var isEmpty: Bool { count == 0 }

    @inlinable package mutating func append(_ node: ListNode) {
        // SAFETY: balanced by `popFirst`, `deinit`, or by the list that the chain is pushed to.
        let entry = unsafe Unmanaged.passRetained(node)
        unsafe Link.setNext(of: node, to: nil)
        if let last = unsafe last {
            unsafe Link.setNext(of: last.takeUnretainedValue(), to: entry)
        } else {
            unsafe first = entry
        }
        unsafe last = entry
        count += 1
    }

    @inlinable package mutating func popFirst() -> ListNode? {
        guard let entry = unsafe first else { return nil }
        // SAFETY: the chain holds one retain of each of its nodes (append, takeAll).
        let node = unsafe entry.takeRetainedValue()
        unsafe first = Link.next(of: node)
        if unsafe first == nil { unsafe last = nil }
        unsafe Link.setNext(of: node, to: nil)
        count -= 1
        return node
    }

    /// Moves all of `other` to the end of this chain.
    @inlinable package mutating func append(contentsOf other: consuming NodeChain<Link>) {
        guard let otherFirst = unsafe other.first else { return }
        if let last = unsafe last {
            unsafe Link.setNext(of: last.takeUnretainedValue(), to: otherFirst)
        } else {
            unsafe first = otherFirst
        }
        unsafe last = other.last
        count += other.count
        unsafe other.first = nil
        unsafe other.last = nil
        other.count = 0
    }

    @inlinable deinit {
        var entry = unsafe first
        while let node = unsafe entry?.takeRetainedValue() {
            unsafe entry = Link.next(of: node)
        }
    }
}

extension NodeChain {
    /// Gives the chain's nodes, with their retains, to a lock-free list; the chain is empty afterwards.
    /// Returns the oldest node, from which `reverse` walks.
    package mutating func detach() -> Unmanaged<ListNode> {
        guard let oldest = unsafe first else { preconditionFailure("an empty chain was pushed") }
        unsafe first = nil
        unsafe last = nil
        count = 0
        return unsafe oldest
    }

    /// Relinks nodes that run from `oldest` so that each points at the one before it and the oldest at
    /// `head`. Returns the newest: the head of the list once the push has succeeded.
    package static func reverse(_ oldest: Unmanaged<ListNode>, onto head: Unmanaged<ListNode>?) -> Unmanaged<
        ListNode
    > {
        var newest = unsafe oldest
        var entry = unsafe Link.next(of: oldest.takeUnretainedValue())
        unsafe Link.setNext(of: oldest.takeUnretainedValue(), to: head)
        while let current = unsafe entry {
            let node = unsafe current.takeUnretainedValue()
            unsafe entry = Link.next(of: node)
            unsafe Link.setNext(of: node, to: newest)
            unsafe newest = current
        }
        return unsafe newest
    }

    /// A chain, oldest first, of nodes that run newest first from `newest`, whose retains it takes over.
    @inlinable package init(reversing newest: Unmanaged<ListNode>?) {
        unsafe last = newest
        var entry = unsafe newest
        while let current = unsafe entry {
            let node = unsafe current.takeUnretainedValue()
            unsafe entry = Link.next(of: node)
            unsafe Link.setNext(of: node, to: first)
            unsafe first = current
            count += 1
        }
    }
}
