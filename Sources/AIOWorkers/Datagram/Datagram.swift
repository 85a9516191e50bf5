// A datagram as the program gets it. Made by DatagramCore from a batch, handed out by `receive`.

public import AIOBytes
public import AIOKernel

/// What one datagram brought, and from whom.
public struct Datagram: Sendable, Hashable {
    /// The payload; may be empty. It shares a slab with other datagrams: see `Bytes.compacted()`.
    public var bytes: Bytes
    /// Who sent it, as far as UDP can say: sender addresses can be forged.
    public var sender: Endpoint
    /// It was longer than `DatagramOptions.payloadByteCountMax`, and the rest is lost.
    public var isTruncated: Bool

    public init(bytes: Bytes, sender: Endpoint, isTruncated: Bool = false) {
        self.bytes = bytes
        self.sender = sender
        self.isTruncated = isTruncated
    }
}

/// What became of a `trySend`.
public enum DatagramOutcome: Sendable, Hashable {
    /// It is in the socket's queue, whole.
    case queued
    /// Nothing was queued: `.limitReached` (the queue is full), `.closed`, or what `send` would throw.
    case refused(AIOError)
}
