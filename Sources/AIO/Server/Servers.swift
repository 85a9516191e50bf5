// The servers of a proactor that run, so that all of them can be drained at once.

import AIOKernel
import AIOWorkers

/// Sendable, unchecked: what changes is under `lock`.
final class Servers: @unchecked Sendable {
    private let lock = PosixLock()
    // Under `lock`.
    private var running: [ServerCore] = []
    /// Draining was asked for: a server that begins afterwards drains at once.
    private var drainTimeout: Duration?

    func began(_ server: ServerCore) {
        let timeout = lock.withLock { () -> Duration? in
            running.append(server)
            return drainTimeout
        }
        if let timeout { server.drain(within: timeout) }
    }

    func ended(_ server: ServerCore) { lock.withLock { running.removeAll { $0 === server } } }

    func drain(within timeout: Duration) {
        let servers = lock.withLock { () -> [ServerCore] in
            drainTimeout = min(timeout, drainTimeout ?? timeout)
            return running
        }
        for server in servers { server.drain(within: timeout) }
    }

    func cut() { for server in lock.withLock({ running }) { server.cut() } }

    var all: [ServerCore] { lock.withLock { running } }
}
