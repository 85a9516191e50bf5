// How many simulations of a process run at a time: each has a thread that does nothing but compute.

import AIOKernel

/// As many as there are processors; the others wait, first in, first out. More would only be slower, and hold up whatever
/// else the process tests.
///
/// Sendable, unchecked: what changes is under `lock`.
final class SimulationSlots: @unchecked Sendable {
    static let shared = SimulationSlots(LinuxKernel().usableProcessorCount)

    private let lock = PosixLock()
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = max(1, count) }

    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = lock.withLock {
                if free > 0 {
                    free -= 1
                    return true
                }
                waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func giveBack() {
        let next = lock.withLock { () -> CheckedContinuation<Void, Never>? in
            if waiting.isEmpty {
                free += 1
                return nil
            }
            return waiting.removeFirst()
        }
        next?.resume()
    }
}
