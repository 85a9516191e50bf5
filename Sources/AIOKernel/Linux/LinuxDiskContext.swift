// One Linux AIO context with what is in flight in it: requests go in by `submit`, and come out by `reap` when
// the disk is done with them. LinuxKernel+Disk.swift finds it by identity.

internal import CLibAIO
internal import Glibc
internal import SystemPackage

/// The kernel's context and our table of its requests in flight.
///
/// A request has a slot from `submit` until `reap`; the slot holds it, and with it the buffer, the file and
/// the event counter that the kernel is using. The kernel carries the slot's *number*, not a pointer: a
/// number that makes no sense finds an empty slot, not freed memory. There are as many slots as io_setup(2)
/// was asked for, so a table that is full means the same as the kernel's own EAGAIN.
///
/// The control blocks are one array, a block a slot. The kernel copies a block during io_submit and
/// afterwards uses its address only as a name, but it stays in place all the same.
///
/// io_destroy(2) cannot cancel disk I/O and waits for it, so when it returns the kernel has let go of every
/// buffer; only then are the slots emptied. If it fails, the requests are leaked rather than freed under the
/// disk's hands.
///
/// `@unchecked Sendable`, proof: everything mutable, `handle`'s ring included, is touched only while `lock`
/// is held. One worker owns a context, so the lock is never contended; it is there because the compiler
/// cannot see that.
@safe final class LinuxDiskContext: @unchecked Sendable {
    private static let eventsMax = 64

    private let lock = PosixLock()
    private let handle: io_context_t
    private let blocks: UnsafeMutableBufferPointer<iocb>
    private var inFlight: [DiskRequest?]
    private var freeSlots: [Int]
    private var isDestroyed = false

    /// Takes over a context that io_setup(2) has just made.
    init(_ handle: io_context_t, requestsMax: Int) {
        unsafe self.handle = unsafe handle
        unsafe blocks = .allocate(capacity: requestsMax)
        // SAFETY: freshly allocated; a control block is plain data, for which all zeros is a value.
        unsafe blocks.initialize(repeating: iocb())
        inFlight = Array(repeating: nil, count: requestsMax)
        freeSlots = Array((0..<requestsMax).reversed())
    }

    deinit {
        // SAFETY: the blocks allocated in `init`. The kernel copied them during io_submit.
        unsafe blocks.deallocate()
    }

    /// Waits for what is in flight and drops it. The last call on a context.
    func destroy() {
        lock.withLock {
            guard !isDestroyed else { return }
            isDestroyed = true
            // SAFETY: `handle` came from io_setup, and `isDestroyed` lets no one use it from here on.
            if unsafe io_destroy(handle) == 0 {
                for request in inFlight { request?.buffer.takeBack() }
                inFlight = []
            } else {
                // SAFETY: a leak on purpose: the kernel may still write to these buffers.
                for case let request? in inFlight { _ = unsafe Unmanaged.passRetained(request) }
            }
        }
    }

    func submit(_ requests: [DiskRequest]) -> CallResult {
        lock.withLock {
            guard !isDestroyed else { return CallResult(.invalidArgument) }
            let slots = freeSlots.suffix(requests.count).reversed() as [Int]
            guard !slots.isEmpty || requests.isEmpty else {
                return CallResult(.resourceTemporarilyUnavailable)
            }
            freeSlots.removeLast(slots.count)
            for (request, slot) in zip(requests, slots) { fill(slot, with: request) }

            let result = unsafe withUnsafeTemporaryAllocation(
                of: UnsafeMutablePointer<iocb>?.self, capacity: slots.count
            ) { pointers in
                for (index, slot) in slots.enumerated() {
                    unsafe pointers.initializeElement(
                        at: index, to: blocks.baseAddress.map { unsafe $0 + slot })
                }
                // SAFETY: `slots.count` pointers to filled blocks, whose requests the table holds.
                return CallResult(rawValue: Int(unsafe io_submit(handle, slots.count, pointers.baseAddress)))
            }
            for slot in slots[result.count...].reversed() { empty(slot) }
            return result
        }
    }

    func reap(into completions: inout [DiskCompletion]) -> CallResult {
        lock.lock()
        defer { lock.unlock() }
        guard !isDestroyed else { return CallResult(.invalidArgument) }
        var total = 0
        while true {
            let result = reapOnce(into: &completions)
            total += result.count
            if result.wasInterrupted { continue }
            if !result.isSuccess, total == 0 { return result }
            if result.count < Self.eventsMax { return CallResult(rawValue: total) }
        }
    }

    private func reapOnce(into completions: inout [DiskCompletion]) -> CallResult {
        unsafe withUnsafeTemporaryAllocation(of: io_event.self, capacity: Self.eventsMax) { events in
            // SAFETY: room for `eventsMax` events, of which the call fills as many as it answers.
            let result = CallResult(
                rawValue: unsafe aio_reap(handle, Self.eventsMax, events.baseAddress))
            for index in 0..<result.count {
                let slot = Int(bitPattern: unsafe events[index].data)
                let transferred = Int(bitPattern: unsafe events[index].res)
                guard inFlight.indices.contains(slot), let request = inFlight[slot] else { continue }
                empty(slot)
                completions.append(
                    DiskCompletion(request: request, result: CallResult(rawValue: transferred)))
            }
            return result
        }
    }

    // MARK: Slots, all with the lock held

    private func fill(_ slot: Int, with request: DiskRequest) {
        request.buffer.lend()
        inFlight[slot] = request
        var block = unsafe iocb()
        unsafe block.data = UnsafeMutableRawPointer(bitPattern: slot)
        unsafe block.aio_fildes = request.target.descriptor.number
        unsafe block.aio_lio_opcode = Int16(
            (request.operation == .read ? IO_CMD_PREAD : IO_CMD_PWRITE).rawValue)
        unsafe block.aio_rw_flags = request.isNonblocking ? 0x8 : 0  // RWF_NOWAIT
        // SAFETY: the buffer is lent until this slot is emptied, and the request fits it (its init checks).
        unsafe block.u.c.buf = request.buffer.baseAddress
        unsafe block.u.c.nbytes = UInt(request.byteCount)
        unsafe block.u.c.offset = request.offset
        if let signal = request.completionSignal {
            unsafe block.u.c.flags = 1  // IOCB_FLAG_RESFD
            unsafe block.u.c.resfd = UInt32(bitPattern: signal.descriptor.number)
        }
        unsafe blocks[slot] = block
    }

    private func empty(_ slot: Int) {
        inFlight[slot]?.buffer.takeBack()
        inFlight[slot] = nil
        freeSlots.append(slot)
    }
}
