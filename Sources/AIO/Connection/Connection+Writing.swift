// Straight-line writing, with back-pressure. The waiting is done in AIOWorkers (ConnectionCore+Writing).

public import AIOBytes
import AIOKernel
public import AIOWorkers

extension Connection {
    /// Writes `bytes`: returns when they are accepted, which is at once unless more than
    /// `ConnectionLimits.highWaterMark` bytes wait to be sent. Then it suspends until fewer than `lowWaterMark`
    /// do. The bytes are not copied.
    ///
    /// They are accepted as a whole or not at all: if this throws, none of them will be sent. Several tasks may
    /// write; their writes go out in the order in which they were called, each in one piece. Between a write and a `send`
    /// from elsewhere no order is defined until the write has returned: what is sent while it waits goes out before it.
    /// - Throws: `CancellationError` if the task is cancelled and the write has to wait (one that need not is accepted,
    ///   so that a cancelled handler can still say goodbye); `.closed` after
    ///   `finish`, `close` or `abort`; `.connectionReset`, `.timedOut` and others if that is what ended the
    ///   connection. That accepted bytes could not be sent is said by the next write or flush.
    @inlinable public func write(_ bytes: Bytes) async throws {
        // Inlined up to here: most writes do not wait, and then nothing asynchronous is left of the call.
        if !tryWrite(bytes) { try await writeWhenThereIsRoom(bytes) }
    }

    @usableFromInline func tryWrite(_ bytes: Bytes) -> Bool { core.tryWrite(bytes) }

    @usableFromInline func writeWhenThereIsRoom(_ bytes: Bytes) async throws {
        try await core.writeWhenThereIsRoom(bytes)
    }

    /// Writes several parts, which stay together and leave in one system call where possible.
    public func write(_ parts: [Bytes]) async throws { try await core.write(parts) }

    /// Returns when everything accepted before is in the kernel's hands (which does not mean that the peer has
    /// it). Cancelling stops the waiting, not the sending.
    /// - Throws: as `write` does; what ended the connection, if it ended with bytes unsent.
    public func flush() async throws { try await core.flush() }

    /// Why the connection closed, once it has. Suspends until then; cancelling stops the waiting.
    /// - Throws: `CancellationError`.
    public func closed() async throws -> CloseReason { try await core.waitUntilClosed() }
}
