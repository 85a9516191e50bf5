// One read or write on its way to the disk and back. Made by whoever owns the file, given to `Kernel.submit`,
// which keeps it until `Kernel.reap` hands it back inside a `DiskCompletion`.

/// A read or a write of `byteCount` bytes between a file and the start of `buffer`.
///
/// It holds all the kernel needs while it is in flight: the buffer, the open file, the event counter to
/// signal. The `Kernel` that took it holds it, so dropping every other reference in mid-flight frees nothing.
package final class DiskRequest: Sendable {
    package enum Operation: Hashable, Sendable {
        case read
        case write
    }

    package let operation: Operation
    /// The file, opened with `O_DIRECT` if `submit` is not to block.
    package let target: SharedDescriptor
    /// The position in the file, in bytes; with `O_DIRECT` a multiple of the alignment of the file system.
    package let offset: Int64
    package let buffer: DiskBuffer
    package let byteCount: Int
    /// The event counter that the completion adds one to; nil for none.
    package let completionSignal: SharedDescriptor?
    /// Complete with `EAGAIN` rather than wait for locks or allocation (`RWF_NOWAIT`, preadv2(2)).
    package let isNonblocking: Bool

    package init(
        _ operation: Operation, target: SharedDescriptor, offset: Int64, buffer: DiskBuffer, byteCount: Int,
        completionSignal: SharedDescriptor?, isNonblocking: Bool
    ) {
        precondition(
            byteCount >= 0 && byteCount <= buffer.byteCount, "a disk request does not fit its buffer")
        precondition(offset >= 0, "a disk request begins before its file")
        self.operation = operation
        self.target = target
        self.offset = offset
        self.buffer = buffer
        self.byteCount = byteCount
        self.completionSignal = completionSignal
        self.isNonblocking = isNonblocking
    }
}
