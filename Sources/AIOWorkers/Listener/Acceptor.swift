// A listening socket on a worker: accepts in batches, hands connections to workers, pauses at limits, and
// survives a full descriptor table. Readiness in; connections out.

package import AIOKernel
import SystemPackage
import Synchronization

/// One listening socket in one worker's epoll set.
///
/// Accepting stops for three reasons, and each has its way on: the queue is empty (the next edge), the pass's
/// budget is spent (the next pass), a limit of the engine is reached (`EngineAccounts` submits it again). A
/// full descriptor table is none of these: the queue is not empty, no edge will come, and the peers wait.
/// Then the reserve descriptor is given up, and as many connections as a pass may are accepted and closed at
/// once, so that their peers see an end instead of silence; after that a timer tries again.
package final class Acceptor: Registration, @unchecked Sendable {
    private let core: ListenerCore
    private let worker: Worker
    // Worker only.
    private var descriptor: Descriptor?
    private var token: UInt64 = 0
    private var isWaitingForDescriptors = false
    private var isInAcceptList = false
    /// Requests of other threads, as a bit set; taken by the worker.
    private let requests = Atomic<UInt8>(0)
    private static let start: UInt8 = 1
    private static let resume: UInt8 = 2
    private static let close: UInt8 = 4
    private static let submitted: UInt8 = 128

    package init(_ descriptor: consuming Descriptor, core: ListenerCore, worker: Worker) {
        self.descriptor = consume descriptor
        self.core = core
        self.worker = worker
    }

    package func requestStart() { request(Self.start) }
    func requestResume() { request(Self.resume) }
    package func requestClose() { request(Self.close) }

    private func request(_ bit: UInt8) {
        let before = requests.bitwiseOr(bit | Self.submitted, ordering: .acquiringAndReleasing).oldValue
        if before & Self.submitted == 0 { worker.submit(self) }
    }

    override package func perform(on worker: Worker) {
        let asked = requests.exchange(0, ordering: .acquiringAndReleasing)
        if asked & Self.start != 0 { begin(on: worker) }
        if asked & Self.close != 0 {
            // One that never began to accept has nobody to give them to.
            if token != 0 { acceptRest(on: worker) }
            end(on: worker)
        }
        if asked & Self.resume != 0 { worker.isStillAcceptable(self) }
    }

    private func begin(on worker: Worker) {
        guard descriptor != nil else { return }
        token = worker.takeIn(listener: self)
        do {
            try worker.kernel.add(
                descriptor!, to: worker.epoll!, interest: .input, token: token)
            worker.isStillAcceptable(self)
        } catch {
            core.failed(error, on: worker)
            end(on: worker)
        }
    }

    private func end(on worker: Worker) {
        guard descriptor != nil else { return }
        worker.kernel.remove(descriptor!, from: worker.epoll!)
        descriptor = nil
        worker.letGo(of: token)
        worker.accounts.forget(self)
        core.acceptorClosed(kernel: worker.kernel)
    }

    override func becameReady(_ readiness: Readiness, on worker: Worker) { acceptWaiting(on: worker) }

    override func workerIsEnding(on worker: Worker, gracefully: Bool) {
        if gracefully { acceptRest(on: worker) }
        end(on: worker)
    }

    override func deadlineReached(on worker: Worker) {
        isWaitingForDescriptors = false
        acceptWaiting(on: worker)
    }

    /// Before the socket is closed: closing resets what waits in the kernel's queue, and those peers were
    /// told that they are connected. As many rounds as the queue is long, so that peers who keep coming do
    /// not keep it open.
    private func acceptRest(on worker: Worker) {
        for _ in 0...core.backlog / worker.configuration.acceptBudget where acceptWaiting(on: worker) == false
        { return }
    }

    /// Accepts what waits in the kernel's queue, within the pass's budget. True if there may be more.
    @discardableResult
    func acceptWaiting(on worker: Worker) -> Bool {
        guard !isWaitingForDescriptors else { return false }
        for _ in 0..<worker.configuration.acceptBudget {
            guard descriptor != nil else { return false }
            guard worker.accounts.mayAccept else {
                worker.counters.acceptPauses.increment()
                worker.accounts.pause(self)
                return false
            }
            switch worker.kernel.accept(from: descriptor!) {
            case .accepted(let accepted, let peer): hand(over: accepted, peer: peer, on: worker)
            case .wouldBlock: return false
            case .skipped: continue
            case .exhausted(let errno):
                shed(because: errno, on: worker)
                return false
            case .failed(let errno):
                let detail = core.endpoint.description
                core.failed(AIOError(errno: errno, call: "accept4", detail: detail), on: worker)
                end(on: worker)
                return false
            }
        }
        worker.isStillAcceptable(self)
        return true
    }

    private func hand(over accepted: consuming Descriptor, peer: Endpoint, on worker: Worker) {
        guard worker.descriptorReserve.mayKeepAccepted(kernel: worker.kernel) else {
            worker.counters.acceptsShed.increment()
            worker.descriptorReserve.takeBack(accepted, kernel: worker.kernel)
            return
        }
        worker.counters.accepted.increment()
        let admission = core.sink.observer?.admits(peer) ?? .accept
        guard case .accept = admission else { return refuse(accepted, peer: peer, by: admission, on: worker) }
        worker.accounts.connectionAccepted()
        let local = core.endpoint.isWildcard ? try? worker.kernel.localEndpoint(of: accepted) : core.endpoint
        let target = core.isShared ? core.nextWorker() : worker
        let connection = ConnectionCore(
            accepted: accepted, peer: peer, local: local, id: worker.accounts.makeID(), worker: target,
            sink: core.sink)
        if target === worker {
            connection.adopt(on: worker)
        } else {
            connection.request(.adopt)
        }
    }

    private func refuse(
        _ accepted: consuming Descriptor, peer: Endpoint, by admission: Admission, on worker: Worker
    ) {
        switch admission {
        case .accept, .close: break
        case .reset: worker.kernel.resetOnClose(accepted)
        case .reply(let reply):
            // A connection of nobody's: it is closed with the care that lets the reply arrive.
            worker.accounts.connectionAccepted()
            worker.accounts.acceptedWasSeen()
            let sink = ConnectionSink(place: .global, limits: core.sink.limits, observer: nil)
            let connection = ConnectionCore(
                accepted: accepted, peer: peer, local: nil, id: worker.accounts.makeID(), worker: worker,
                sink: sink)
            connection.adopt(on: worker)
            _ = connection.send(reply)
            connection.close()
        }
    }

    /// The descriptor table (or kernel memory) is full: answer the queue by closing, then wait.
    private func shed(because errno: Errno, on worker: Worker) {
        worker.counters.acceptPauses.increment()
        let kernel = worker.kernel
        let shedCount = worker.descriptorReserve.spend(
            kernel: kernel, atMost: worker.configuration.acceptBudget
        ) {
            guard case .accepted = kernel.accept(from: descriptor!) else { return false }
            return true
        }
        worker.counters.acceptsShed.add(shedCount)
        if worker.descriptorReserve.isFirstReport() {
            let error = AIOError(errno: errno, call: "accept4", detail: core.endpoint.description)
            worker.configuration.report(
                Report(
                    .error, "no descriptors for new connections: they are closed until some are free",
                    error: error))
        }
        isWaitingForDescriptors = true
        worker.setTimer(token: token, at: worker.now.advanced(by: .milliseconds(50)))
    }
}
