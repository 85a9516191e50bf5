// The inside of a proxy: what arrives on one connection is written to the other, both ways at once.

package import AIOBytes
public import AIOKernel
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
    try await relay(first, second, observedBy: Unobserved())
}

/// Told of what passes a relay, before it is passed on: so what the one side says after it has heard something of the
/// other is told after that. Called by the tasks of both directions, of which each tells of one side.
package protocol RelayObserver: Sendable {
    func came(_ bytes: Bytes, from side: Connection)
    /// The side has ended its writing, in order.
    func ended(_ side: Connection)
    /// What broke the relay, and on which side: the first failure alone.
    func broke(_ side: Connection, _ error: AIOError)
}

private struct Unobserved: RelayObserver {
    func came(_ bytes: Bytes, from side: Connection) {}
    func ended(_ side: Connection) {}
    func broke(_ side: Connection, _ error: AIOError) {}
}

package func relay(
    _ first: Connection, _ second: Connection, observedBy observer: some RelayObserver
) async throws -> RelayReport {
    let failure = FirstFailure()
    async let backward = carry(from: second, to: first, failure, observer)
    let forward = await carry(from: first, to: second, failure, observer)
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
    /// Whether this is the first.
    func put(_ error: AIOError) -> Bool {
        lock.withLock {
            defer { first = first ?? error }
            return first == nil
        }
    }
}

private func carry(
    from source: Connection, to target: Connection, _ failure: FirstFailure, _ observer: some RelayObserver
) async -> UInt64 {
    var byteCount: UInt64 = 0
    // Whose failure it is, if there is one.
    var side = source
    do {
        while let bytes = try await source.read() {
            observer.came(bytes, from: source)
            side = target
            do {
                try await target.write(bytes)
            } catch let error as CancellationError {
                // They have been taken from the one and nobody else can give them to the other.
                target.core.writeRegardlessOfRoom(bytes)
                throw error
            }
            side = source
            byteCount += UInt64(bytes.count)
        }
        observer.ended(source)
        target.finish()
    } catch let error as AIOError {
        if failure.put(error) { observer.broke(side, error) }
        // Whichever of the two it was: the other direction has no use any more either.
        source.abort()
        target.abort()
    } catch {
        // Cancelled: there is nothing to pass on.
    }
    return byteCount
}
