// The bounded wait of `Proactor.shutdown`: for the servers, then for the engine, and not for ever.

import AIOKernel
import AIOWorkers

/// Sendable, unchecked: what changes is under `lock`.
@safe final class ShutdownWait: @unchecked Sendable {
    private let engineToEnd: Engine
    private let lock = PosixLock()
    // Under `lock`.
    private var waiting: UnsafeContinuation<Void, Never>?
    private var isOver = false
    private var ended = false
    private var isLate = false
    /// Of the waits, so that the limit of one does not end the next.
    private var turn = 0

    init(engine: Engine) { engineToEnd = engine }

    /// The engine has ended, on the thread of its last worker.
    func engineEnded() {
        lock.withLock { ended = true }
        goOn()
    }

    var hasEnded: Bool { lock.withLock { ended } }
    /// The servers ended within their time.
    var isInTime: Bool { lock.withLock { !isLate } }

    /// Returns when all servers have ended, or a second after they should have.
    func servers(_ servers: Servers) async {
        let running = servers.all
        guard !running.isEmpty else { return }
        let left = Countdown(running.count) { [self] in goOn() }
        for server in running { server.whenEnded { left.one() } }
        await wait(atMost: limit) { [self] in isLate = true }
    }

    /// Returns when the engine has ended, or a second after it should have.
    func engine() async { await wait(atMost: limit) {} }

    private var limit: Duration { engineToEnd.configuration.shutdownTimeout + .seconds(1) }

    private func wait(atMost limit: Duration, late: @escaping @Sendable () -> Void) async {
        let turn = lock.withLock { self.turn }
        engineToEnd.callUnhindered(after: limit) { [self] in
            guard isCurrent(turn: turn, late: late) else { return }
            goOn()
        }
        unsafe await withUnsafeContinuation { continuation in
            lock.lock()
            if isOver {
                lock.unlock()
                unsafe continuation.resume()
            } else {
                unsafe waiting = unsafe continuation
                lock.unlock()
            }
        }
        lock.withLock {
            isOver = ended
            self.turn += 1
        }
    }

    private func isCurrent(turn: Int, late: () -> Void) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        guard turn == self.turn else { return false }
        late()
        return true
    }

    private func goOn() {
        lock.lock()
        isOver = true
        let continuation = unsafe waiting
        unsafe waiting = nil
        lock.unlock()
        unsafe continuation?.resume()
    }
}
