// What ConnectionMachine should do, as a table: for each phase of a connection, what each stimulus brings
// about. Written from the machine's description and RFC 9293 section 3.6, not from its code; the tests
// compare the two.

import AIOKernel
import AIOWorkers

/// The phases of a connection. The table, the machine apart, is in terms of these.
enum Phase: Hashable, CaseIterable {
    case connecting
    /// The program has ended its writing already.
    case connectingToFinish
    case open
    /// The program has ended its writing, and something is still queued.
    case openFinishing
    /// The write side is shut, the peer's is not.
    case openFinished
    case peerEnded
    case peerEndedFinishing
    case flushing
    case flushingAfterPeersEnd
    case lingering
    case closed
}

/// What the machine can be told.
enum Stimulus: Hashable, CaseIterable {
    case connected, connectFails
    case bytesArrive, tooManyBytesArrive
    case peerEnds
    case resets, breaks
    case flushed
    case finish, finishBehindQueue
    case close, closeBehindQueue
    case shutDown, shutDownBehindQueue
    case abort
    case connectDeadline, idleDeadline, frameDeadline, writeDeadline, lingerDeadline

    static let refused = AIOError(.connectionRefused, call: "connect")
    static let wasReset = AIOError(.connectionReset, call: "recv")
    static let broken = AIOError(.inputOutput, call: "recv")
    /// What a connect deadline is told as.
    static let late = AIOError(.timedOut, call: "connect")
}

extension ConnectionMachine {
    mutating func feed(_ stimulus: Stimulus, discardsMax: Int) -> Action {
        switch stimulus {
        case .connected: connected()
        case .connectFails: connectFailed(Stimulus.refused)
        case .bytesArrive: bytesArrived(1)
        case .tooManyBytesArrive: bytesArrived(discardsMax + 1)
        case .peerEnds: peerEnded()
        case .resets: failed(Stimulus.wasReset)
        case .breaks: failed(Stimulus.broken)
        case .flushed: flushed()
        case .finish: finishRequested(queueIsEmpty: true)
        case .finishBehindQueue: finishRequested(queueIsEmpty: false)
        case .close: closeRequested(.local, queueIsEmpty: true)
        case .closeBehindQueue: closeRequested(.local, queueIsEmpty: false)
        case .shutDown: closeRequested(.shutDown, queueIsEmpty: true)
        case .shutDownBehindQueue: closeRequested(.shutDown, queueIsEmpty: false)
        case .abort: abortRequested(.aborted)
        case .connectDeadline: connectDeadlinePassed()
        case .idleDeadline: idleDeadlinePassed()
        case .frameDeadline: frameDeadlinePassed()
        case .writeDeadline: writeDeadlinePassed()
        case .lingerDeadline: lingerDeadlinePassed()
        }
    }
}

/// What the driver can ask of a machine.
struct Answers: OptionSet, Hashable {
    let rawValue: Int

    static let isConnecting = Answers(rawValue: 1)
    static let isOpen = Answers(rawValue: 2)
    static let isEnding = Answers(rawValue: 4)
    static let isClosed = Answers(rawValue: 8)
    static let deliversInput = Answers(rawValue: 16)
    static let wantsInput = Answers(rawValue: 32)
    static let takesOutput = Answers(rawValue: 64)
    static let canWrite = Answers(rawValue: 128)

    init(rawValue: Int) { self.rawValue = rawValue }

    init(_ machine: borrowing ConnectionMachine) {
        self = []
        if machine.isConnecting { insert(.isConnecting) }
        if machine.isOpen { insert(.isOpen) }
        if machine.isEnding { insert(.isEnding) }
        if machine.isClosed { insert(.isClosed) }
        if machine.deliversInput { insert(.deliversInput) }
        if machine.wantsInput { insert(.wantsInput) }
        if machine.takesOutput { insert(.takesOutput) }
        if machine.canWrite { insert(.canWrite) }
    }
}

/// A cell of the table: what the driver is to do, and the phase that follows.
struct Cell {
    enum Action {
        case deliver, discard, deliverEnd, open, finishWriting, nothing
        /// The first two begin a graceful close; the reason is what the program will be told at its end.
        case flush(CloseReason)
        case linger(CloseReason)
        /// Orderly, and with a reset.
        case close(CloseReason)
        case cut(CloseReason)
        /// In a graceful close: go on with it, end it, with the reason that it began with.
        case lingerOn, closeAsTold, cutAsTold
    }

    let action: Action
    let next: Phase

    init(_ action: Action, _ next: Phase) {
        self.action = action
        self.next = next
    }
}

/// A row of the table. What is not in `cells` is in `ignored`: it does nothing and changes nothing.
struct Row {
    let answers: Answers
    let cells: [Stimulus: Cell]
    let ignored: Set<Stimulus>

    init(_ answers: Answers, _ cells: [Stimulus: Cell], ignored: Set<Stimulus>) {
        self.answers = answers
        self.cells = cells
        self.ignored = ignored
    }

    func cell(_ stimulus: Stimulus, in phase: Phase) -> Cell { cells[stimulus] ?? Cell(.nothing, phase) }
}

extension Phase {
    var row: Row {
        switch self {
        case .connecting: Self.connectingRow
        case .connectingToFinish: Self.connectingToFinishRow
        case .open: Self.openRow
        case .openFinishing: Self.openFinishingRow
        case .openFinished: Self.openFinishedRow
        case .peerEnded: Self.peerEndedRow
        case .peerEndedFinishing: Self.peerEndedFinishingRow
        case .flushing: Self.flushingRow
        case .flushingAfterPeersEnd: Self.flushingAfterPeersEndRow
        case .lingering: Self.lingeringRow
        case .closed: Self.closedRow
        }
    }

    // There is nothing to flush yet and nobody to linger for: every end is at once.
    private static let connectingRow = Row(
        [.isConnecting, .takesOutput],
        [
            .connected: Cell(.open, .open),
            .connectFails: Cell(.close(.connectFailed(Stimulus.refused)), .closed),
            .bytesArrive: Cell(.discard, .connecting),
            .tooManyBytesArrive: Cell(.discard, .connecting),
            .resets: Cell(.close(.connectFailed(Stimulus.wasReset)), .closed),
            .breaks: Cell(.close(.connectFailed(Stimulus.broken)), .closed),
            .finish: Cell(.nothing, .connectingToFinish),
            .finishBehindQueue: Cell(.nothing, .connectingToFinish),
            .close: Cell(.close(.local), .closed),
            .closeBehindQueue: Cell(.close(.local), .closed),
            .shutDown: Cell(.close(.shutDown), .closed),
            .shutDownBehindQueue: Cell(.close(.shutDown), .closed),
            .abort: Cell(.close(.aborted), .closed),
            .connectDeadline: Cell(.close(.connectFailed(Stimulus.late)), .closed),
        ],
        ignored: [.peerEnds, .flushed, .idleDeadline, .frameDeadline, .writeDeadline, .lingerDeadline])

    private static let connectingToFinishRow = Row(
        [.isConnecting],
        [
            .connected: Cell(.open, .openFinishing),
            .connectFails: Cell(.close(.connectFailed(Stimulus.refused)), .closed),
            .bytesArrive: Cell(.discard, .connectingToFinish),
            .tooManyBytesArrive: Cell(.discard, .connectingToFinish),
            .resets: Cell(.close(.connectFailed(Stimulus.wasReset)), .closed),
            .breaks: Cell(.close(.connectFailed(Stimulus.broken)), .closed),
            .close: Cell(.close(.local), .closed),
            .closeBehindQueue: Cell(.close(.local), .closed),
            .shutDown: Cell(.close(.shutDown), .closed),
            .shutDownBehindQueue: Cell(.close(.shutDown), .closed),
            .abort: Cell(.close(.aborted), .closed),
            .connectDeadline: Cell(.close(.connectFailed(Stimulus.late)), .closed),
        ],
        ignored: [
            .peerEnds, .flushed, .finish, .finishBehindQueue, .idleDeadline, .frameDeadline, .writeDeadline,
            .lingerDeadline,
        ])

    // The discard allowance is for what comes after a close: an open connection takes any number of bytes.
    private static let openRow = Row(
        [.isOpen, .deliversInput, .wantsInput, .takesOutput, .canWrite],
        [
            .bytesArrive: Cell(.deliver, .open),
            .tooManyBytesArrive: Cell(.deliver, .open),
            .peerEnds: Cell(.deliverEnd, .peerEnded),
            .resets: Cell(.close(.reset), .closed),
            .breaks: Cell(.close(.failed(Stimulus.broken)), .closed),
            .finish: Cell(.finishWriting, .openFinished),
            .finishBehindQueue: Cell(.nothing, .openFinishing),
            .close: Cell(.linger(.local), .lingering),
            .closeBehindQueue: Cell(.flush(.local), .flushing),
            .shutDown: Cell(.linger(.shutDown), .lingering),
            .shutDownBehindQueue: Cell(.flush(.shutDown), .flushing),
            .abort: Cell(.cut(.aborted), .closed),
            .idleDeadline: Cell(.close(.idle), .closed),
            .frameDeadline: Cell(.close(.frameTimedOut), .closed),
            .writeDeadline: Cell(.cut(.stalled), .closed),
        ],
        ignored: [.connected, .connectFails, .flushed, .connectDeadline, .lingerDeadline])

    private static let openFinishingRow = Row(
        [.isOpen, .deliversInput, .wantsInput, .canWrite],
        [
            .bytesArrive: Cell(.deliver, .openFinishing),
            .tooManyBytesArrive: Cell(.deliver, .openFinishing),
            .peerEnds: Cell(.deliverEnd, .peerEndedFinishing),
            .resets: Cell(.close(.reset), .closed),
            .breaks: Cell(.close(.failed(Stimulus.broken)), .closed),
            .flushed: Cell(.finishWriting, .openFinished),
            .close: Cell(.linger(.local), .lingering),
            .closeBehindQueue: Cell(.flush(.local), .flushing),
            .shutDown: Cell(.linger(.shutDown), .lingering),
            .shutDownBehindQueue: Cell(.flush(.shutDown), .flushing),
            .abort: Cell(.cut(.aborted), .closed),
            .idleDeadline: Cell(.close(.idle), .closed),
            .frameDeadline: Cell(.close(.frameTimedOut), .closed),
            .writeDeadline: Cell(.cut(.stalled), .closed),
        ],
        ignored: [.connected, .connectFails, .finish, .finishBehindQueue, .connectDeadline, .lingerDeadline])

    // The end of the peer closes: both sides have ended, this one first. (A driver has no queue here any
    // more: the closes behind one are listed for completeness.)
    private static let openFinishedRow = Row(
        [.isOpen, .deliversInput, .wantsInput],
        [
            .bytesArrive: Cell(.deliver, .openFinished),
            .tooManyBytesArrive: Cell(.deliver, .openFinished),
            .peerEnds: Cell(.close(.local), .closed),
            .resets: Cell(.close(.reset), .closed),
            .breaks: Cell(.close(.failed(Stimulus.broken)), .closed),
            .close: Cell(.linger(.local), .lingering),
            .closeBehindQueue: Cell(.flush(.local), .flushing),
            .shutDown: Cell(.linger(.shutDown), .lingering),
            .shutDownBehindQueue: Cell(.flush(.shutDown), .flushing),
            .abort: Cell(.cut(.aborted), .closed),
            .idleDeadline: Cell(.close(.idle), .closed),
            .frameDeadline: Cell(.close(.frameTimedOut), .closed),
            .writeDeadline: Cell(.cut(.stalled), .closed),
        ],
        ignored: [
            .connected, .connectFails, .flushed, .finish, .finishBehindQueue, .connectDeadline,
            .lingerDeadline,
        ])

    // Nothing to linger for: the peer has ended.
    private static let peerEndedRow = Row(
        [.isOpen, .takesOutput, .canWrite],
        [
            .bytesArrive: Cell(.discard, .peerEnded),
            .tooManyBytesArrive: Cell(.discard, .peerEnded),
            .resets: Cell(.close(.reset), .closed),
            .breaks: Cell(.close(.failed(Stimulus.broken)), .closed),
            .finish: Cell(.close(.peer), .closed),
            .finishBehindQueue: Cell(.nothing, .peerEndedFinishing),
            .close: Cell(.close(.peer), .closed),
            .closeBehindQueue: Cell(.flush(.peer), .flushingAfterPeersEnd),
            .shutDown: Cell(.close(.shutDown), .closed),
            .shutDownBehindQueue: Cell(.flush(.shutDown), .flushingAfterPeersEnd),
            .abort: Cell(.cut(.aborted), .closed),
            .idleDeadline: Cell(.close(.idle), .closed),
            .frameDeadline: Cell(.close(.frameTimedOut), .closed),
            .writeDeadline: Cell(.cut(.stalled), .closed),
        ],
        ignored: [.connected, .connectFails, .peerEnds, .flushed, .connectDeadline, .lingerDeadline])

    private static let peerEndedFinishingRow = Row(
        [.isOpen, .canWrite],
        [
            .bytesArrive: Cell(.discard, .peerEndedFinishing),
            .tooManyBytesArrive: Cell(.discard, .peerEndedFinishing),
            .resets: Cell(.close(.reset), .closed),
            .breaks: Cell(.close(.failed(Stimulus.broken)), .closed),
            .flushed: Cell(.close(.peer), .closed),
            .close: Cell(.close(.peer), .closed),
            .closeBehindQueue: Cell(.flush(.peer), .flushingAfterPeersEnd),
            .shutDown: Cell(.close(.shutDown), .closed),
            .shutDownBehindQueue: Cell(.flush(.shutDown), .flushingAfterPeersEnd),
            .abort: Cell(.cut(.aborted), .closed),
            .idleDeadline: Cell(.close(.idle), .closed),
            .frameDeadline: Cell(.close(.frameTimedOut), .closed),
            .writeDeadline: Cell(.cut(.stalled), .closed),
        ],
        ignored: [
            .connected, .connectFails, .peerEnds, .finish, .finishBehindQueue, .connectDeadline,
            .lingerDeadline,
        ])

    private static let flushingRow = Row(
        [.isEnding, .wantsInput, .canWrite],
        [
            .bytesArrive: Cell(.discard, .flushing),
            .tooManyBytesArrive: Cell(.cut(.failed(ConnectionMachine.unsent)), .closed),
            .peerEnds: Cell(.nothing, .flushingAfterPeersEnd),
            .resets: Cell(.close(.reset), .closed),
            .breaks: Cell(.close(.failed(Stimulus.broken)), .closed),
            .flushed: Cell(.lingerOn, .lingering),
            .abort: Cell(.cut(.aborted), .closed),
            .lingerDeadline: Cell(.cut(.failed(ConnectionMachine.unsent)), .closed),
        ],
        ignored: [
            .connected, .connectFails, .finish, .finishBehindQueue, .close, .closeBehindQueue, .shutDown,
            .shutDownBehindQueue, .connectDeadline, .idleDeadline, .frameDeadline, .writeDeadline,
        ])

    private static let flushingAfterPeersEndRow = Row(
        [.isEnding, .canWrite],
        [
            .bytesArrive: Cell(.discard, .flushingAfterPeersEnd),
            .tooManyBytesArrive: Cell(.cut(.failed(ConnectionMachine.unsent)), .closed),
            .resets: Cell(.close(.reset), .closed),
            .breaks: Cell(.close(.failed(Stimulus.broken)), .closed),
            .flushed: Cell(.closeAsTold, .closed),
            .abort: Cell(.cut(.aborted), .closed),
            .lingerDeadline: Cell(.cut(.failed(ConnectionMachine.unsent)), .closed),
        ],
        ignored: [
            .connected, .connectFails, .peerEnds, .finish, .finishBehindQueue, .close, .closeBehindQueue,
            .shutDown, .shutDownBehindQueue, .connectDeadline, .idleDeadline, .frameDeadline, .writeDeadline,
        ])

    // Everything is in the kernel: whatever ends it now, the close that was asked for is what happened.
    private static let lingeringRow = Row(
        [.isEnding, .wantsInput],
        [
            .bytesArrive: Cell(.discard, .lingering),
            .tooManyBytesArrive: Cell(.cutAsTold, .closed),
            .peerEnds: Cell(.closeAsTold, .closed),
            .resets: Cell(.closeAsTold, .closed),
            .breaks: Cell(.closeAsTold, .closed),
            .abort: Cell(.cutAsTold, .closed),
            .lingerDeadline: Cell(.cutAsTold, .closed),
        ],
        ignored: [
            .connected, .connectFails, .flushed, .finish, .finishBehindQueue, .close, .closeBehindQueue,
            .shutDown, .shutDownBehindQueue, .connectDeadline, .idleDeadline, .frameDeadline, .writeDeadline,
        ])

    private static let closedRow = Row(
        [.isClosed],
        [
            .bytesArrive: Cell(.discard, .closed),
            .tooManyBytesArrive: Cell(.discard, .closed),
        ],
        ignored: [
            .connected, .connectFails, .peerEnds, .resets, .breaks, .flushed, .finish, .finishBehindQueue,
            .close, .closeBehindQueue, .shutDown, .shutDownBehindQueue, .abort, .connectDeadline,
            .idleDeadline, .frameDeadline, .writeDeadline, .lingerDeadline,
        ])
}

/// A phase with what it carries: a state of the connection as the table knows it.
struct Spot: Hashable {
    var phase: Phase
    /// In a graceful close, what the program will be told.
    var told: CloseReason?
    /// In a graceful close, the bytes that may still be thrown away.
    var discardsLeft: Int?

    /// What the table says of a stimulus here.
    func follow(_ stimulus: Stimulus, discardsMax: Int) -> (action: ConnectionMachine.Action, next: Spot) {
        let isTooMuch = stimulus == .bytesArrive && discardsLeft == 0
        let cell = phase.row.cell(isTooMuch ? .tooManyBytesArrive : stimulus, in: phase)
        var next = Spot(phase: cell.next, told: told, discardsLeft: discardsLeft)
        if stimulus == .bytesArrive, let discardsLeft { next.discardsLeft = discardsLeft - 1 }
        switch cell.action {
        case .flush(let reason), .linger(let reason):
            next = Spot(phase: cell.next, told: reason, discardsLeft: discardsMax)
        default:
            if cell.next == .closed { next = Spot(phase: .closed) }
        }
        return (action(cell.action), next)
    }

    private func action(_ action: Cell.Action) -> ConnectionMachine.Action {
        switch action {
        case .deliver: .deliver
        case .discard: .discard
        case .deliverEnd: .deliverEnd
        case .open: .open
        case .finishWriting: .finishWriting
        case .nothing: .none
        case .flush: .flush
        case .linger, .lingerOn: .linger
        case .close(let reason): .close(reason, reset: false)
        case .cut(let reason): .close(reason, reset: true)
        case .closeAsTold: .close(told!, reset: false)
        case .cutAsTold: .close(told!, reset: true)
        }
    }
}
