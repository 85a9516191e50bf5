// Memory that a disk can be read into and written from directly: whole pages, kept out of forked children.
// Filled by its owner or by the kernel, never by both: see the theory below.

internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A page-aligned buffer with one user at a time.
///
/// A buffer is *free*, *accessed* (Swift code is inside `withBytes` or `withMutableBytes`) or *lent* (a
/// submitted request has it; the kernel may read or write it at any moment). Each way out of *free* is a
/// compare-exchange, so two users at once is a trap that names the mistake, not a corrupted file. Only the
/// kernel layer lends and takes back; io_cancel(2) does nothing for disks, so *lent* ends with the completion
/// and with nothing else.
///
/// Pages come from mmap(2) and not from malloc: `MADV_DONTFORK` goes by page, and must not outlive the buffer
/// in memory that malloc hands to someone else. (Without it, a fork(2) during a direct read can leave the
/// data in the child's copy of the page; see open(2), O_DIRECT.)
///
/// `@unchecked Sendable`, proof: `memory` and `byteCount` never change; what `memory` points to is touched
/// only by whoever moved `state` out of *free* (acquire) and until it moves it back (release), so uses are
/// ordered; the mapping ends in `deinit`, when no one holds a reference, hence no access is running and no
/// request, which would hold one, is in flight.
@safe package final class DiskBuffer: @unchecked Sendable {
    private enum State {
        static let free: UInt8 = 0
        static let accessed: UInt8 = 1
        static let lent: UInt8 = 2
    }

    /// How many bytes may be used: what was asked for.
    package let byteCount: Int
    private let mappedByteCount: Int
    private let memory: UnsafeMutableRawPointer
    // Written by every user, at the start and the end of its use.
    private let state = Atomic<UInt8>(State.free)

    /// Zeroed memory for `byteCount` bytes, aligned to `alignment`, a power of two of at most a page (a
    /// disk's direct I/O needs 512 to 4,096). Throws `.outOfMemory`.
    package init(byteCount: Int, alignment: Int = 4096) throws(AIOError) {
        let pageByteCount = Int(getpagesize())
        precondition(byteCount > 0, "a disk buffer needs at least one byte")
        precondition(
            alignment > 0 && alignment & (alignment - 1) == 0 && alignment <= pageByteCount,
            "a disk buffer is aligned to a power of two of at most a page of \(pageByteCount) bytes")
        let (padded, overflow) = byteCount.addingReportingOverflow(pageByteCount - 1)
        mappedByteCount = overflow ? Int.max : padded / pageByteCount * pageByteCount
        self.byteCount = byteCount
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no other memory.
        let mapped = unsafe mmap(
            nil, mappedByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped = unsafe mapped, unsafe mapped != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw AIOError(
                errno: Errno(rawValue: errno), call: "mmap", detail: "\(byteCount) bytes for a disk buffer")
        }
        unsafe memory = mapped
        // SAFETY: the range is the mapping just made. Best effort: a kernel without it only loses the
        // protection.
        _ = unsafe madvise(memory, mappedByteCount, MADV_DONTFORK)
    }

    deinit {
        // SAFETY: the mapping made in `init`, and by the class's proof no one uses it any more.
        _ = unsafe munmap(memory, mappedByteCount)
    }

    /// Reads the buffer. Traps if it is lent or accessed by someone else.
    package func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        take(State.accessed)
        defer { release(State.accessed) }
        // SAFETY: `byteCount` bytes are mapped; the span cannot leave `body`, and the state keeps others out.
        return try unsafe body(UnsafeRawBufferPointer(start: memory, count: byteCount).bytes)
    }

    /// Fills the buffer. Traps if it is lent or accessed by someone else.
    package func withMutableBytes<R: ~Copyable, E: Error>(
        _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        take(State.accessed)
        defer { release(State.accessed) }
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
        // SAFETY: as in `withBytes`.
        var span = unsafe bytes.mutableBytes
        return try body(&span)
    }

    /// Gives the memory to the kernel until `takeBack`. For implementations of `Kernel.submit` only.
    package func lend() { take(State.lent) }

    /// The kernel is done with the memory. For implementations of `Kernel.reap` and `destroyDiskContext`
    /// only.
    package func takeBack() { release(State.lent) }

    /// The start of the memory, for a submission; to be used only while lent.
    @unsafe package var baseAddress: UnsafeMutableRawPointer { unsafe memory }

    private func take(_ use: UInt8) {
        // Acquire: pairs with the release below, so what the last user wrote is seen.
        let (taken, former) = state.compareExchange(expected: State.free, desired: use, ordering: .acquiring)
        precondition(
            taken,
            "a disk buffer has one user at a time; this one is \(former == State.lent ? "lent" : "in use")")
    }

    private func release(_ use: UInt8) {
        // Release: pairs with the acquire of the next `take`.
        let (released, _) = state.compareExchange(expected: use, desired: State.free, ordering: .releasing)
        precondition(released, "a disk buffer was given back by someone who did not have it")
    }
}
