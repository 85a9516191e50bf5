// The bounded wait of `Proactor.shutdown`: for the servers, then for the engine, and not for ever.

import AIOKernel
import AIOWorkers

/// Waits for the servers until they are cut, and for the engine until a second after everything is: `shutdownTimeout` is the
/// limit of each, and a shutdown that is cancelled cuts everything there and then.
///
/// Sendable, unchecked: what changes is under `lock`.
@safe final class ShutdownWait: @unchecked Sendable {
    private let engineToEnd: Engine
    private let lock = PosixLock()
    // Under `lock`.
    private var phase = Phase.servers
    private var waiting: UnsafeContinuation<Void, Never>?
    /// What is waited for in this phase has come, or its time is over.
    private var isOver = false
    private var ended = false
    private var isLate = false

    private enum Phase { case servers, engine }

    init(engine: Engine) { engineToEnd = engine }

    /// The engine has ended, on the thread of its last worker.
    func engineEnded() {
        lock.withLock { ended = true }
        endWait(in: .engine)
    }

    /// The shutdown was cancelled, and everything is cut.
    func cut() {
        serversAreLate()
        engineToEnd.callUnhindered(after: Self.patience) { [self] in endWait(in: .engine) }
    }

    var hasEnded: Bool { lock.withLock { ended } }
    /// The servers ended within their time, and by themselves.
    var isInTime: Bool { lock.withLock { !isLate } }

    /// How long what was cut may take to end.
    private static let patience: Duration = .seconds(1)
    private var timeout: Duration { engineToEnd.configuration.shutdownTimeout }

    /// Returns when all servers have ended, or are cut.
    func servers(_ servers: Servers) async {
        let running = servers.all
        if !running.isEmpty {
            let left = Countdown(running.count) { [self] in endWait(in: .servers) }
            for server in running { server.whenEnded { left.one() } }
            engineToEnd.callUnhindered(after: timeout) { [self] in serversAreLate() }
            await wait()
        }
        lock.withLock {
            phase = .engine
            isOver = ended
        }
    }

    /// Returns when the engine has ended, or a second after it should have.
    func engine(endsGracefully: Bool) async {
        let limit = (endsGracefully ? timeout : .zero) + Self.patience
        engineToEnd.callUnhindered(after: limit) { [self] in endWait(in: .engine) }
        await wait()
    }

    private func wait() async {
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
    }

    private func serversAreLate() {
        lock.withLock {
            if phase == .servers, !isOver { isLate = true }
        }
        endWait(in: .servers)
    }

    private func endWait(in phase: Phase) {
        lock.lock()
        guard phase == self.phase else { return lock.unlock() }
        isOver = true
        let continuation = unsafe waiting
        unsafe waiting = nil
        lock.unlock()
        unsafe continuation?.resume()
    }
}
