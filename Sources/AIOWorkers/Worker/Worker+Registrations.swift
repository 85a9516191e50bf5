// What connections, listeners and datagram sockets ask of the worker that they belong to, on its thread: to be looked at
// again, to be written, timed, published, let go of; and what slab memory allows.

import AIOBytes
import AIOKernel

// MARK: - For registrations, on this thread

extension Worker {
    /// Adds a node to the completions of this pass.
    func complete(_ node: ListNode, to sink: CompletionQueue) {
        if completionsSink !== sink {
            publish(then: stage)
            completionsSink = sink
        }
        completions.append(node)
    }

    func isStillReadable(_ connection: ConnectionCore) {
        guard !connection.io.isInReadList else { return }
        connection.io.isInReadList = true
        stillReadable.append(connection)
    }

    func isStillAcceptable(_ acceptor: Acceptor) { stillAcceptable.append(acceptor) }

    /// `goOn` is called in the next pass. Once a pass: the caller sees to it.
    func isUnfinished(_ registration: Registration) { unfinished.append(registration) }

    func needsWriting(_ connection: ConnectionCore) {
        guard !connection.io.isInWriteList else { return }
        connection.io.isInWriteList = true
        toWrite.append(connection)
    }

    func takeIn(_ connection: ConnectionCore) {
        connection.io.token = table.insert(connection)
        counters.openConnections.increment()
        if let ending { connection.workerIsEnding(on: self, gracefully: ending.isGraceful) }
    }

    func takeIn(listener: Acceptor) -> UInt64 { table.insert(listener) }
    func takeIn(socket: DatagramCore) -> UInt64 { table.insert(socket) }

    func takeIn(attempt: DialAttempt) -> UInt64 { table.insert(attempt) }

    func letGo(of token: UInt64) { table.remove(token) }

    func letGo(of connection: ConnectionCore) {
        table.remove(connection.io.token)
        if let timer = connection.io.timer { timers.remove(timer) }
        connection.io.timer = nil
        counters.openConnections.subtract(1)
    }

    /// Out of the epoll set and closed, explicitly in this order: a duplicate of the descriptor would stay in
    /// the set.
    func forgetDescriptor(of connection: ConnectionCore) {
        kernel.remove(connection.io.descriptor!, from: epoll!)
        connection.io.descriptor = nil
    }

    func change(interest: Interest, of connection: ConnectionCore) {
        do {
            let token = connection.io.token
            try kernel.modify(connection.io.descriptor!, in: epoll!, interest: interest, token: token)
        } catch {
            connection.apply(connection.io.machine.failed(error), on: self)
        }
    }

    func setTimer(of connection: ConnectionCore, at deadline: MonotonicTime) {
        if let timer = connection.io.timer, timers.reschedule(timer, at: deadline.nanoseconds) { return }
        connection.io.timer = timers.insert(.registration(connection.io.token), at: deadline.nanoseconds)
    }

    func setTimer(token: UInt64, at deadline: MonotonicTime) {
        _ = timers.insert(.registration(token), at: deadline.nanoseconds)
    }

    // MARK: Memory

    /// The window that a connection may have now: its own, or less when slab memory is nearly used up.
    func window(_ window: Int) -> Int { memory.window(window) }

    /// Reading of this connection waits until there is memory.
    func isPressed(_ connection: ConnectionCore) { pressed.append(connection) }

    /// Bytes came in: look at what they hold, if a slab was begun for them.
    func slabMemoryChanged() {
        if memory.isDueForALook(slabsTaken: slabs.slabsTaken) { lookAtMemory() }
    }

    func lookAtMemory() {
        let holdings = slabs.holdings()
        memory.update(heldByteCount: holdings.slabBytes)
        if memory.shouldCompact(
            holdings.slabBytes, holding: holdings.undeliveredBytes, slab: slabs.slabByteCount)
        {
            counters.compactions.increment()
            for registration in table.all() {
                (registration as? ConnectionCore)?.compactInbox(into: slabs)
                (registration as? DatagramCore)?.compactInbox(into: slabs)
            }
            memory.update(heldByteCount: slabs.holdings().slabBytes)
        }
    }

    /// While connections wait for memory a timer looks whether there is some: what the program takes is given
    /// back slab by slab, on whatever thread drops the last slice, and none of those threads knows that it
    /// matters.
    func resumePressed() {
        memory.timerFired()
        lookAtMemory()
        let round = pressed.takeRound()
        for connection in round { connection.resumeReading(on: self) }
        pressed.recycle(round)
    }
}
