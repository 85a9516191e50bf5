// From the outbound queue to the kernel, in batches, only ever by the worker. Called when something was
// staged, when the kernel takes more again, and before the end.

import AIOBytes
import AIOKernel
import DequeModule
import SystemPackage

extension DatagramCore {
    /// Sends what is queued until it is gone, the kernel takes no more, or the pass's budget is spent.
    func writeQueued(on worker: Worker, atMost datagramsMax: Int = DatagramCore.passBudget) {
        var budget = datagramsMax
        takeStaged()
        while !io.isWriteBlocked, !io.outbound.isEmpty, let socket = io.socket {
            guard budget > 0 else { return isUnfinished(on: worker) }
            budget -= writeOnce(to: socket, on: worker)
        }
        if io.outbound.isEmpty { arm(forWriting: false, on: worker) }
    }

    private func takeStaged() {
        lock.lock()
        io.outbound.append(contentsOf: shared.staged)
        shared.staged.removeAll(keepingCapacity: true)
        lock.unlock()
    }

    /// A batch that stops short says how many it took, and the error that stopped it is gone: a pending error
    /// of the socket, once met, is not met again. So while errors come back, a connected socket's datagrams go
    /// one at a time, where each error is seen.
    private static var singlesAfterError: Int { 32 }

    /// One sendmmsg(2). Returns how many datagrams it dealt with.
    private func writeOnce(to socket: SharedDescriptor, on worker: Worker) -> Int {
        let batch = worker.outboundDatagrams
        defer { batch.removeAll() }
        for datagram in io.outbound.prefix(io.singlesLeft > 0 ? 1 : OutboundDatagrams.countMax) {
            // Addresses were checked by `send`.
            do { try batch.append(datagram.bytes, to: datagram.target) } catch { break }
        }
        let result = worker.kernel.sendDatagrams(batch, to: socket.descriptor)
        worker.counters.sends.increment()
        if result.count > 0 {
            io.retriesFirst = false
            if result.count < batch.count, isConnected {
                io.singlesLeft = Self.singlesAfterError
            } else if io.singlesLeft > 0 {
                io.singlesLeft -= 1
            }
            sent(result.count, on: worker)
            return result.count
        }
        if result.wouldBlock {
            io.isWriteBlocked = true
            arm(forWriting: true, on: worker)
            return 0
        }
        refused(result.errno ?? .invalidArgument)
        return 1
    }

    private func sent(_ count: Int, on worker: Worker) {
        var byteCount = 0
        for datagram in io.outbound.prefix(count) { byteCount += datagram.bytes.count }
        io.outbound.removeFirst(count)
        worker.counters.bytesSent.add(byteCount)
        dealtWith(count, byteCount: byteCount) { statistics in
            statistics.sent += UInt64(count)
            statistics.sentByteCount += UInt64(byteCount)
        }
    }

    /// The kernel will not have the first datagram. A connected socket's error may be about an earlier one:
    /// then it is gone now, and this one gets a second chance.
    private func refused(_ errno: Errno) {
        let target = io.outbound.first?.target ?? peer
        let error = AIOError(errno: errno, call: "sendmmsg", detail: target?.description)
        if isConnected {
            noteError(error)
            io.singlesLeft = Self.singlesAfterError
        }
        if isConnected, !io.retriesFirst, Self.isReportOfAnEarlierSend(errno) {
            io.retriesFirst = true
            return
        }
        io.retriesFirst = false
        guard let first = io.outbound.popFirst() else { return }
        dealtWith(1, byteCount: first.bytes.count) { statistics in
            statistics.sendErrors += 1
            statistics.lastSendError = error
        }
    }

    /// These datagrams wait no more: there is room for who waits in line.
    private func dealtWith(_ count: Int, byteCount: Int, _ note: (inout DatagramStatistics) -> Void) {
        lock.lock()
        note(&shared.statistics)
        shared.outboundCount -= count
        shared.outboundByteCount -= byteCount
        let admitted = admitWaiters()
        io.outbound.append(contentsOf: shared.staged)
        shared.staged.removeAll(keepingCapacity: true)
        lock.unlock()
        for task in admitted { task.resume() }
    }

    /// Writing is armed only while the kernel takes no more: armed all the time it would report an edge for
    /// each datagram that leaves.
    private func arm(forWriting isArmed: Bool, on worker: Worker) {
        guard io.isArmedForWriting != isArmed, let socket = io.socket else { return }
        io.isArmedForWriting = isArmed
        let interest = isArmed ? .inputAndOutput : Interest.input
        do {
            try worker.kernel.modify(
                socket.descriptor, in: worker.epoll!, interest: interest, token: io.token)
        } catch {
            failed(error, on: worker)
        }
    }
}
