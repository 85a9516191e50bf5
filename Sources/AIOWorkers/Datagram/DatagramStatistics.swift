// What a datagram socket has counted: every loss that this side of the wire can know of. Kept under the
// socket's lock.

public import AIOKernel

/// Numbers of one datagram socket since it was opened.
///
/// Every datagram that the kernel handed over is in `received`, and in `dropped` too if the program will not
/// see it. Every datagram that `send` or `trySend` accepted ends up in `sent`, `sendErrors` or
/// `sendsDropped`, or is still queued.
public struct DatagramStatistics: Sendable, Hashable {
    /// Read from the kernel, those dropped afterwards included, and their payload.
    public var received: UInt64 = 0
    public var receivedByteCount: UInt64 = 0
    /// Read and thrown away, because the program had not taken those before them.
    public var dropped: UInt64 = 0
    /// Dropped by the kernel because its receive buffer was full (`SO_RXQ_OVFL`), as of the last datagram
    /// that arrived.
    public var kernelDropped: UInt64 = 0
    /// Longer than `DatagramOptions.payloadByteCountMax`, hence cut.
    public var truncated: UInt64 = 0
    /// Taken by the kernel, and their payload. Whether they arrived is for no one here to know.
    public var sent: UInt64 = 0
    public var sentByteCount: UInt64 = 0
    /// Accepted here and refused by the kernel: no route, a firewall, too large for the path.
    public var sendErrors: UInt64 = 0
    /// Accepted here, and thrown away when the socket closed because the kernel would not take them at once.
    public var sendsDropped: UInt64 = 0
    /// Calls of `trySend` that found the queue full.
    public var sendsRefused: UInt64 = 0
    /// The kernel's reason for the last of `sendErrors`.
    public var lastSendError: AIOError?
    /// Datagrams that wait now: for the program, and for the kernel.
    public var inboxCount = 0
    public var outboundCount = 0

    public init() {}
}
