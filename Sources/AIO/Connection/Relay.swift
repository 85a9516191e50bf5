// The inside of a proxy: what arrives on one connection is written to the other, both ways at once.

import AIOKernel
import AIOWorkers

/// What a relay has carried.
public struct RelayReport: Sendable, Hashable {
    /// Bytes from the first connection to the second, and back.
    public var forward: UInt64 = 0
    public var backward: UInt64 = 0
    /// What ended it before both sides had; nil if both ended in order.
    public var failure: AIOError?

    public init() {}
}

/// Carries bytes between two connections until both sides have ended.
///
/// Back-pressure goes through: what one side does not take is not read from the other, so at most a receive window
/// and an outbound queue up to its high-water mark are held, each way. The end of one side becomes the end of the
/// other's (half-close); a reset, or whatever else breaks a connection, becomes a reset. No byte is copied.
///
/// Neither connection is closed by an orderly end: whoever owns them does that. Suspends for as long as it takes.
/// - Throws: `CancellationError`; both connections are then as they were, with what has been read written.
public func relay(_ first: Connection, _ second: Connection) async throws -> RelayReport {
    let failure = FirstFailure()
    async let backward = carry(from: second, to: first, failure)
    let forward = await carry(from: first, to: second, failure)
    let counts = await (forward, backward)
    try Task.checkCancellation()
    return RelayReport(forward: counts.0, backward: counts.1, failure: failure.error)
}

extension RelayReport {
    fileprivate init(forward: UInt64, backward: UInt64, failure: AIOError?) {
        self.forward = forward
        self.backward = backward
        self.failure = failure
    }
}

/// What broke the relay. The other direction fails in consequence, and may be the first to be looked at.
///
/// Sendable, unchecked: `first` is under `lock`.
private final class FirstFailure: @unchecked Sendable {
    private let lock = PosixLock()
    private var first: AIOError?
    var error: AIOError? { lock.withLock { first } }
    func put(_ error: AIOError) { lock.withLock { first = first ?? error } }
}

private func carry(from source: Connection, to target: Connection, _ failure: FirstFailure) async -> UInt64 {
    var byteCount: UInt64 = 0
    do {
        while let bytes = try await source.read() {
            do {
                try await target.write(bytes)
            } catch let error as CancellationError {
                // They have been taken from the one and nobody else can give them to the other.
                target.core.writeRegardlessOfRoom(bytes)
                throw error
            }
            byteCount += UInt64(bytes.count)
        }
        target.finish()
    } catch let error as AIOError {
        failure.put(error)
        // Whichever of the two it was: the other direction has no use any more either.
        source.abort()
        target.abort()
    } catch {
        // Cancelled: there is nothing to pass on.
    }
    return byteCount
}
