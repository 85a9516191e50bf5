// From readiness to the inbox: batches of datagrams, as many as a pass may read, copied into slabs or
// dropped. Called by the worker's input stage; wakes the reader in DatagramCore+Receive.swift.

import AIOBytes
import AIOKernel
import DequeModule
import SystemPackage

extension DatagramCore {
    /// Datagrams read from, or written to, one socket in a pass before it is the others' turn. Looked at
    /// between system calls.
    static var passBudget: Int { 128 }

    func readinessArrived(_ readiness: Readiness, on worker: Worker) {
        if !readiness.isDisjoint(with: .input) { io.isReadable = true }
        if io.isWriteBlocked, !readiness.isDisjoint(with: .output) {
            io.isWriteBlocked = false
            writeQueued(on: worker)
        }
        readAvailable(on: worker)
    }

    /// Reads until the kernel has no more or the pass's budget is spent.
    private func readAvailable(on worker: Worker) {
        var datagramBudget = Self.passBudget
        var byteBudget = worker.configuration.readBudgetByteCount
        while io.isReadable, let socket = io.socket {
            guard datagramBudget > 0, byteBudget > 0 else { return isUnfinished(on: worker) }
            let batch = worker.inboundDatagrams
            let result = worker.kernel.receiveDatagrams(
                from: socket.descriptor, into: batch, atMost: options.payloadByteCountMax)
            worker.counters.receives.increment()
            datagramBudget -= max(result.count, 1)
            if result.count > 0 {
                byteBudget -= take(batch, on: worker)
                // A batch that is not full ended at EAGAIN, or at an error which is reported to the next
                // call. Only connected sockets have those.
                if result.count < InboundDatagrams.countMax, !isConnected { io.isReadable = false }
            } else {
                io.isReadable = false
                if let errno = result.errno, !result.wouldBlock { readFailed(errno) }
            }
        }
    }

    var isConnected: Bool { if case .some = peer { true } else { false } }

    /// A connected socket's error is about something that it sent, and taking it clears it: there may be
    /// datagrams behind it.
    private func readFailed(_ errno: Errno) {
        let error = AIOError(errno: errno, call: "recvmmsg", detail: (peer ?? endpoint).description)
        if isConnected, Self.isReportOfAnEarlierSend(errno) { io.isReadable = true }
        noteError(error)
    }

    /// What ICMP messages become, ip(7). They are pending errors of the socket: whichever call comes next
    /// gets them, and they are gone.
    static func isReportOfAnEarlierSend(_ errno: Errno) -> Bool {
        switch errno {
        case .connectionRefused, .noRouteToHost, .hostIsDown, .networkUnreachable, .permissionDenied,
            .messageTooLong, .protocolNotAvailable, .protocolError, .notSupportedOnSocket:
            true
        default: false
        }
    }

    /// For the next receive or send.
    func noteError(_ error: AIOError) {
        lock.lock()
        shared.pendingError = error
        let reader = wakeReader()
        lock.unlock()
        reader?.resume()
    }

    // MARK: Into the inbox

    /// Takes a batch over. Returns the bytes that it brought.
    private func take(_ batch: InboundDatagrams, on worker: Worker) -> Int {
        var tally = DatagramTally()
        let room = roomInInbox(on: worker)
        var fitting = room
        for index in 0..<batch.count {
            let byteCount = batch.byteCount(at: index)
            let isTruncated = batch.isTruncated(at: index)
            tally.byteCount += byteCount
            if isTruncated { tally.truncated += 1 }
            guard fitting.takes(byteCount), let sender = batch.sender(at: index) else {
                tally.dropped += 1
                continue
            }
            let bytes = batch.copy(at: index, into: worker.slabs)
            io.arrived.append(Datagram(bytes: bytes, sender: sender, isTruncated: isTruncated))
        }
        tally.received = batch.count
        tally.kernelDropped = newKernelDrops(batch.kernelDropCount)
        deliver(tally, within: room)
        worker.counters.bytesReceived.add(tally.byteCount)
        worker.slabMemoryChanged()
        return tally.byteCount
    }

    /// What the inbox can take. Only the worker fills it, so there will not be less when the batch is put in.
    private func roomInInbox(on worker: Worker) -> InboxRoom {
        let byteCountMax = worker.window(options.inboxByteCountMax)
        if options.whenInboxIsFull == .dropOldest {
            return InboxRoom(count: options.inboxDatagramsMax, byteCount: byteCountMax)
        }
        return lock.withLock {
            InboxRoom(
                count: options.inboxDatagramsMax - shared.inbox.count,
                byteCount: byteCountMax - shared.inboxByteCount)
        }
    }

    private func newKernelDrops(_ count: UInt32?) -> UInt64 {
        guard let count else { return 0 }
        defer { io.kernelDropCount = count }
        return UInt64(count &- io.kernelDropCount)
    }

    /// Puts what has arrived into the inbox, and wakes the reader.
    private func deliver(_ tally: DatagramTally, within limit: InboxRoom) {
        lock.lock()
        var dropped = tally.dropped
        if shared.phase == .open {
            for datagram in io.arrived {
                shared.inbox.append(datagram)
                shared.inboxByteCount += datagram.bytes.count
            }
            if options.whenInboxIsFull == .dropOldest { dropped += dropOldest(until: limit) }
        } else {
            // Closed by the program meanwhile; the request that says so is on its way here.
            dropped += io.arrived.count
            for datagram in io.arrived { datagram.bytes.delivered() }
        }
        shared.statistics.add(tally, dropped: dropped)
        let reader = shared.inbox.isEmpty ? nil : wakeReader()
        lock.unlock()
        io.arrived.removeAll(keepingCapacity: true)
        reader?.resume()
    }

    private func dropOldest(until limit: InboxRoom) -> Int {
        var dropped = 0
        while shared.inbox.count > limit.count || shared.inboxByteCount > limit.byteCount,
            let oldest = shared.inbox.popFirst()
        {
            shared.inboxByteCount -= oldest.bytes.count
            oldest.bytes.delivered()
            dropped += 1
        }
        return dropped
    }

    /// Copies what waits in the inbox together, so that it no longer keeps nearly empty slabs alive.
    func compactInbox(into slabs: SlabPool) {
        lock.lock()
        for index in shared.inbox.indices {
            let bytes = shared.inbox[index].bytes
            guard !slabs.holdsDensely(bytes) else { continue }
            shared.inbox[index].bytes = slabs.copyOut(bytes)
            bytes.delivered()
        }
        lock.unlock()
    }
}

/// Room for datagrams, by number and by payload.
private struct InboxRoom {
    var count: Int
    var byteCount: Int

    /// Uses up room if there is enough. Once a datagram did not fit, none behind it does: what gets in has no
    /// holes but at its end.
    mutating func takes(_ datagramByteCount: Int) -> Bool {
        guard count > 0, byteCount >= datagramByteCount else {
            count = 0
            return false
        }
        count -= 1
        byteCount -= datagramByteCount
        return true
    }
}

/// What one batch adds to the statistics.
private struct DatagramTally {
    var received = 0
    var byteCount = 0
    var truncated = 0
    var dropped = 0
    var kernelDropped: UInt64 = 0
}

extension DatagramStatistics {
    fileprivate mutating func add(_ tally: DatagramTally, dropped droppedCount: Int) {
        received += UInt64(tally.received)
        receivedByteCount += UInt64(tally.byteCount)
        truncated += UInt64(tally.truncated)
        kernelDropped += tally.kernelDropped
        dropped += UInt64(droppedCount)
    }
}
