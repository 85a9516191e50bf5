// What an operator is told of handlers that failed: each once, with the peer, and not more than a log can bear.

import AIOKernel
import AIOWorkers

/// Reports failures of handlers, ten a second at most; how many were left out is said with the next.
///
/// Sendable, unchecked: what changes is under `lock`.
final class FailureReports: @unchecked Sendable {
    private let engine: Engine
    private let lock = PosixLock()
    // Under `lock`.
    private var windowBegan = MonotonicTime(nanoseconds: 0)
    private var countInWindow = 0
    private var leftOut = 0

    private static let perSecondMax = 10

    init(engine: Engine) { self.engine = engine }

    func report(_ error: any Error, of connection: ConnectionCore) {
        guard let leftOut = permission() else { return }
        let more = leftOut == 0 ? "" : " (\(leftOut) failures before it were not reported)"
        let peer = connection.peer
        let report =
            if let error = error as? AIOError {
                Report(.warning, "the handler of \(peer) failed\(more)", error: error)
            } else {
                Report(.warning, "the handler of \(peer) failed\(more): \(error)")
            }
        engine.configuration.report(report)
    }

    /// nil if this one is to be left out; else how many were before it.
    private func permission() -> Int? {
        let now = engine.kernel.now
        return lock.withLock {
            if now >= windowBegan.advanced(by: .seconds(1)) {
                windowBegan = now
                countInWindow = 0
            }
            countInWindow += 1
            guard countInWindow <= Self.perSecondMax else {
                leftOut += 1
                return nil
            }
            defer { leftOut = 0 }
            return leftOut
        }
    }
}
