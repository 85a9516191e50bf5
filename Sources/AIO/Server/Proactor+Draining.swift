// The graceful end of a program: asked for by a call or by a signal.

public import AIOKernel
import AIOWorkers
import Synchronization

extension Proactor {
    /// Asks all servers to drain, those included that are begun later: each stops accepting (what the kernel had
    /// queued is accepted), lets handlers finish what they are at, closes idle connections, and after `timeout`
    /// cuts what is left. Returns at once; each `serve` returns when its server has ended.
    public func drain(within timeout: Duration = .seconds(10)) { servers.drain(within: timeout) }

    /// Drains when the process gets one of these signals, instead of what the signal would do (end the process, as
    /// a rule); a second signal cuts everything at once. Ends with the proactor's shutdown, which puts the former
    /// dispositions back (sigaction(2)).
    /// - Throws: `.limitReached` if signals are being watched already in this process, `.shutDown`.
    public func drain(
        on signals: [ProcessSignal], within timeout: Duration = .seconds(10)
    ) throws(AIOError) {
        let first = FirstTime()
        try engine.watchSignals(signals) { [servers] _ in
            if first.isNow() { servers.drain(within: timeout) } else { servers.cut() }
        }
    }
}

/// True once.
private final class FirstTime: Sendable {
    private let hasBeen = Atomic<Bool>(false)
    func isNow() -> Bool { !hasBeen.exchange(true, ordering: .acquiringAndReleasing) }
}
