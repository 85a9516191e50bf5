// One socket on its way to one address: registered in the worker's epoll set under a token of its own until
// it has failed, lost, or won and become the connection's. Made by Dial.swift.

import AIOKernel

/// An attempt of a race. Worker thread only.
///
/// The attempt, its connection and the connection's `Dial` hold each other while the race is on; `Dial` lets
/// go of every attempt when it ends, which it does at the latest when the connection is closed.
///
/// Sendable, unchecked: made, used and ended by the worker's thread; `Registration` asks for it.
package final class DialAttempt: Registration, @unchecked Sendable {
    let number: Int
    let address: Endpoint
    private let core: ConnectionCore
    /// nil once closed or handed over.
    private var descriptor: Descriptor?
    private var token: UInt64 = 0

    init(
        number: Int, address: Endpoint, descriptor: consuming Descriptor, core: ConnectionCore
    ) {
        self.number = number
        self.address = address
        self.core = core
        self.descriptor = consume descriptor
    }

    /// Into the epoll set: writable is how the kernel says that it is done.
    func register(on worker: Worker) throws(AIOError) {
        token = worker.takeIn(attempt: self)
        do throws(AIOError) {
            try worker.kernel.add(
                descriptor!, to: worker.epoll!, interest: .output, token: token)
        } catch {
            worker.letGo(of: token)
            throw error
        }
    }

    /// What became of it, now that there was readiness; nil if that is not decided.
    func outcome(_ readiness: Readiness, on worker: Worker) -> Result<Void, AIOError>? {
        guard descriptor != nil else { return nil }
        if let errno = worker.kernel.takeError(of: descriptor!) {
            return .failure(AIOError(errno: errno, call: "connect", detail: address.description))
        }
        return readiness.contains(.writable) ? .success(()) : nil
    }

    /// Gives up the socket, which is in the epoll set under `token` from now on. Changing a registration has
    /// the kernel look again and report what is ready already (epoll_ctl(2), as for re-arming), so bytes that
    /// came with the end of the handshake are not missed.
    func handOver(to token: UInt64, interest: Interest, on worker: Worker) throws(AIOError) -> Descriptor {
        try worker.kernel.modify(descriptor!, in: worker.epoll!, interest: interest, token: token)
        worker.letGo(of: self.token)
        return descriptor.take()!
    }

    /// Out of the epoll set and closed, explicitly in this order, as for connections.
    func close(on worker: Worker) {
        guard descriptor != nil else { return }
        worker.kernel.remove(descriptor!, from: worker.epoll!)
        descriptor = nil
        worker.letGo(of: token)
    }

    override func becameReady(_ readiness: Readiness, on worker: Worker) {
        core.dialAttemptBecameReady(self, readiness, on: worker)
    }

    // Its connection has the timer, and ends it.
    override func deadlineReached(on worker: Worker) {}
    override func workerIsEnding(on worker: Worker, gracefully: Bool) {}
}
