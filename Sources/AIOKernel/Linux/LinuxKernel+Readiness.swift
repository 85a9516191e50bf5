// epoll(7) and eventfd(2): how a worker learns that there is something to do, and how others wake it.

internal import CAIOLinux
internal import SystemPackage

extension LinuxKernel {
    package func makeEpoll() throws(AIOError) -> Descriptor {
        try descriptor(caio_epoll_create(), call: "epoll_create1")
    }

    package func add(
        _ target: borrowing Descriptor, to epoll: borrowing Descriptor, interest: Interest, token: UInt64
    ) throws(AIOError) {
        // ENOSPC speaks of fs.epoll.max_user_watches, not of a disk.
        let number = target.number
        try check(
            caio_epoll_add(epoll.number, number, interest.rawValue, token), call: "epoll_ctl",
            detail: "add descriptor \(number)")
    }

    package func modify(
        _ target: borrowing Descriptor, in epoll: borrowing Descriptor, interest: Interest, token: UInt64
    ) throws(AIOError) {
        let number = target.number
        try check(
            caio_epoll_modify(epoll.number, number, interest.rawValue, token), call: "epoll_ctl",
            detail: "modify descriptor \(number)")
    }

    package func remove(_ target: borrowing Descriptor, from epoll: borrowing Descriptor) {
        // ENOENT (it was never added) is what the caller wants anyway.
        _ = caio_epoll_remove(epoll.number, target.number)
    }

    /// epoll_wait(2) counts in milliseconds. The timeout is rounded up, because rounding down would make the
    /// last millisecond before a deadline a busy loop; who sleeps until a deadline wakes at most 1 ms after
    /// it. epoll_pwait2(2) counts in nanoseconds but is absent before Linux 5.11 and in some sandboxes, and
    /// no deadline of a connection needs it.
    package func wait(
        on epoll: borrowing Descriptor, into batch: ReadinessBatch, timeout: Duration?
    ) -> CallResult {
        let number = epoll.number
        let milliseconds = timeout.map(Self.milliseconds(roundingUp:)) ?? -1
        return batch.fill { tokens, masks in
            let capacity = Int32(clamping: min(tokens.count, masks.count))
            let answer = unsafe tokens.withUnsafeMutableBufferPointer { tokens in
                unsafe masks.withUnsafeMutableBufferPointer { masks in
                    // SAFETY: the call writes at most `capacity` pairs, and both columns have room for that
                    // many.
                    unsafe caio_epoll_wait(
                        number, tokens.baseAddress, masks.baseAddress, capacity, milliseconds)
                }
            }
            return CallResult(rawValue: answer).wasInterrupted ? 0 : answer
        }
    }

    private static func milliseconds(roundingUp timeout: Duration) -> Int32 {
        let nanoseconds = max(timeout.wholeNanoseconds, 0)
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return Int32(clamping: whole + (rest > 0 ? 1 : 0))
    }

    package func makeEventCounter() throws(AIOError) -> Descriptor {
        try descriptor(caio_event_counter(), call: "eventfd")
    }

    package func signal(_ counter: borrowing Descriptor) {
        // EAGAIN: the counter is full, hence readable, hence whoever waits on it is awake already.
        while CallResult(rawValue: caio_event_counter_add(counter.number, 1)).wasInterrupted {}
    }
}
