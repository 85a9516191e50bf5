// From completion nodes to events: takes nodes in order, unfolds each into its events, and gives credit back
// as they are handed out. One cursor is the program's place in the event stream; each lane of `forEach` has
// one of its own.

import AIOBytes
import AIOKernel
import AIOWorkers

/// A place in a chain of completions. Used by one task at a time: the consumer that has entered the source,
/// or the lane it was handed to until the lane is done.
final class EventCursor: Sendable {
    private let place: Owned<EventPlace>

    init(accounts: EngineAccounts) { place = Owned(EventPlace(accounts: accounts)) }

    var isEmpty: Bool { place.value.isEmpty }
    func append(_ chain: consuming NodeChain<CompletionLink>) { place.value.append(chain) }
    func append(_ node: ListNode) { place.value.append(node) }

    /// The next event; nil when everything has been handed out.
    func next() -> Event? { place.value.next() }
}

/// What a cursor knows.
private struct EventPlace: ~Copyable {
    private let accounts: EngineAccounts
    private var nodes = NodeChain<CompletionLink>()
    /// The connection that is being unfolded, and what is left to tell of it.
    private var connection: ConnectionCore?
    private var signals: ConnectionSignals = []
    private var bytes = ByteQueue()
    /// Of a connection that has a framing: frames that may still be handed out before it is another's turn.
    private var framesLeft = 0
    private static let framesInATurnMax = 256
    /// Its `.peerHalfClosed` was handed out, and it is to be closed when the next event is asked for.
    private var toClose: ConnectionCore?

    init(accounts: EngineAccounts) { self.accounts = accounts }

    var isEmpty: Bool { nodes.isEmpty && connection == nil && toClose == nil }

    mutating func append(_ chain: consuming NodeChain<CompletionLink>) { nodes.append(contentsOf: chain) }
    mutating func append(_ node: ListNode) { nodes.append(node) }

    /// The next event; nil when everything has been handed out.
    mutating func next() -> Event? {
        if let closing = toClose {
            toClose = nil
            closing.close()
        }
        while true {
            if let current = connection {
                if let event = nextOfTurn(of: current) { return event }
                connection = nil
            }
            guard let node = nodes.popFirst() else { return nil }
            if let event = begin(node) { return event }
        }
    }

    private mutating func begin(_ node: ListNode) -> Event? {
        switch node {
        case let core as ConnectionCore:
            signals = core.take(bytes: &bytes)
            connection = core
            framesLeft = core.isFramed ? Self.framesInATurnMax : 0
            return nil
        case let timer as TimerNode:
            return .timer(EventTag(rawValue: timer.tag))
        case let node as ValueNode<Event>:
            if case .posted = node.value { accounts.postWasSeen() }
            return node.value
        case let listener as ListenerCore:
            guard let error = listener.failureToReport else { return nil }
            return .listenerFailed(Listener(listener), error)
        default:
            return nil
        }
    }

    /// The events of one connection, in their order. Bytes return their credit here, one slice at a time:
    /// what has been taken off the list but not handed out still counts against the window.
    private mutating func nextOfTurn(of core: ConnectionCore) -> Event? {
        if signals.contains(.opened) {
            signals.subtract(.opened)
            if core.isAccepted { accounts.acceptedWasSeen() }
            if !core.isClosedByProgram {
                return core.isAccepted ? .accepted(Connection(core)) : .connected(Connection(core))
            }
        }
        // Asked again for each event: the program may have closed it while it handled the one before.
        if core.isClosedByProgram {
            core.release(bytes.take())
            signals.formIntersection(.closed)
        }
        if let next = bytes.popFirst() {
            core.returnCredit(for: next)
            return .received(next, Connection(core))
        }
        if framesLeft > 0 {
            framesLeft -= 1
            if let frame = core.nextFrameForEvents() {
                if framesLeft == 0 { postpone(core) }
                return .received(frame, Connection(core))
            }
            framesLeft = 0
        }
        if signals.isEmpty { return nil }
        return nextSignal(of: core)
    }

    /// There may be more frames of this connection: behind what else has come, with the signals that follow them.
    private mutating func postpone(_ core: ConnectionCore) {
        core.putBack(signals)
        signals = []
        if core.willBeTakenAgain() { nodes.append(core) }
    }

    private mutating func nextSignal(of core: ConnectionCore) -> Event? {
        if signals.contains(.drained) {
            signals.subtract(.drained)
            return .drained(Connection(core))
        }
        if signals.contains(.peerEnded) {
            signals.subtract(.peerEnded)
            if !core.limits.keepsHalfOpen { toClose = core }
            return .peerHalfClosed(Connection(core))
        }
        signals = []
        accounts.closedWasSeen()
        return .closed(Connection(core), core.closeReason ?? .local)
    }
}
