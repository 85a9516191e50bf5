// One descriptor kept back for the day the table is full. Shared by all listeners of an engine; spent by
// Acceptor.shed.

import AIOKernel

/// A placeholder descriptor that is given up to accept, and at once close, a connection for which there is no
/// descriptor. One an engine and not one a worker, because the table they run out of is the same.
final class DescriptorReserve: @unchecked Sendable {
    // Under `lock`: between giving the reserve up and taking it back no other listener may do the same.
    private let lock = PosixLock()
    private var placeholder: Descriptor?
    private var hasReported = false
    private var successes = 0

    init(kernel: any Kernel) { placeholder = try? kernel.openPlaceholder() }

    /// Gives the reserve up, calls `acceptAndClose` until it returns false or `limit` is reached, and takes
    /// the reserve back. Returns how often it returned true.
    func spend(kernel: any Kernel, atMost limit: Int, _ acceptAndClose: () -> Bool) -> Int {
        lock.withLock {
            guard placeholder != nil else {
                // It was lost to another thread's open the last time; if it can be had again, it is for next
                // time.
                placeholder = try? kernel.openPlaceholder()
                return 0
            }
            placeholder = nil
            var count = 0
            while count < limit, acceptAndClose() { count += 1 }
            placeholder = try? kernel.openPlaceholder()
            return count
        }
    }

    /// True for the first exhaustion, and again only after accepting has worked for a while: one line an
    /// incident.
    func isFirstReport() -> Bool {
        lock.withLock {
            successes = 0
            defer { hasReported = true }
            return !hasReported
        }
    }

    /// Counts a connection that was accepted. False if there is no descriptor for it but the reserve's own.
    ///
    /// While one listener has given the reserve up, the ordinary accept of another one may take its number.
    /// That connection must be given up, by `takeBack`: if it were kept, the reserve would be lost for as
    /// long as the table is full, and whoever waits would wait in silence.
    func mayKeepAccepted(kernel: any Kernel) -> Bool {
        lock.withLock {
            guard placeholder != nil || reopen(kernel: kernel) else { return false }
            // Only ever reset after an incident.
            guard hasReported else { return true }
            successes += 1
            if successes >= 1_000 { hasReported = false }
            return true
        }
    }

    /// Closes a connection that holds the reserve's descriptor, and takes that back.
    func takeBack(_ accepted: consuming Descriptor, kernel: any Kernel) {
        lock.lock()
        defer { lock.unlock() }
        _ = consume accepted
        // Another listener may have been faster once more; then it is that one's turn to find out.
        if placeholder == nil { _ = reopen(kernel: kernel) }
    }

    /// False if the table is full. A reserve that cannot be had for any other reason (no /dev/null) is done
    /// without.
    private func reopen(kernel: any Kernel) -> Bool {
        do throws(AIOError) {
            placeholder = try kernel.openPlaceholder()
            return true
        } catch {
            return error.code != .descriptorLimit
        }
    }

    /// Gives the descriptor back for good.
    func close() { lock.withLock { placeholder = nil } }
}
