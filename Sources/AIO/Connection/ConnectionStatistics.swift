// What has become of one connection so far, in numbers.

import AIOWorkers

/// Numbers of one connection at one moment. Reading them costs a few loads and disturbs nobody.
public struct ConnectionStatistics: Sendable, Hashable {
    /// Bytes that the worker has received and sent, since the connection was made.
    public var bytesReceived: UInt64
    public var bytesSent: UInt64
    /// Bytes received and not yet taken: at most the receive window, or what a read waits for.
    public var unreadByteCount: Int
    /// Bytes accepted for sending that the kernel has not yet taken.
    public var pendingByteCount: Int
}

extension Connection {
    /// What has been counted so far; after the end, what was counted at the end.
    public var statistics: ConnectionStatistics {
        ConnectionStatistics(
            bytesReceived: core.bytesReceived.current, bytesSent: core.bytesSent.current,
            unreadByteCount: core.unreadByteCount, pendingByteCount: core.pendingByteCount)
    }
}
