// Every limit and default of the engine in one place. Made by the program, read by workers and connections,
// never changed while they run. The same table, for readers, is in docs/limits.md.

package import AIOKernel

/// How a proactor works: its threads, its limits, what it does about trouble.
///
/// Every queue, wait and pool has a limit here. The defaults suit a server on a machine of its own.
public struct EngineConfiguration: Sendable {
    /// I/O worker threads. nil: as many as this process may use processors, by affinity and cgroup quota.
    public var workerCount: Int?
    /// Limits of each connection, unless `listen` or `connect` is given others.
    public var connection = ConnectionLimits()
    /// Connections open or not yet reported closed, over all workers. At the limit accepting pauses; the
    /// kernel's backlog holds what comes meanwhile.
    public var connectionsMax = 100_000
    /// Connections accepted whose `.accepted` event has not been taken. At the limit accepting pauses: a
    /// program that falls behind is not buried.
    public var unseenConnectionsMax = 1_024
    /// Timers scheduled and not yet due, over all workers.
    public var timersMax = 100_000
    /// Values posted and not yet taken.
    public var postsMax = 65_536
    /// Threads for `offload`, at most; started when there is work, gone when there has been none for ten
    /// seconds. nil: as many as this process may use processors, but four at least.
    public var offloadThreadsMax: Int?
    /// Pieces of work given to `offload` that wait for a thread. At the limit `offload` throws
    /// `.limitReached`.
    public var offloadQueuedMax = 1_024
    /// Bytes of one slab: the unit in which a worker takes memory for reading. 4 KiB to 1 MiB.
    public var slabByteCount = 65_536
    /// Free slabs a worker keeps for reuse.
    public var idleSlabsMax = 16
    /// Slab memory, a worker, that may be held by bytes received and not yet taken. From three quarters of it
    /// on, windows shrink, and the connections that hold most stop being read first.
    public var inboundByteCountMax = 64 << 20
    /// Bytes read from one connection in a pass before it is the next one's turn.
    public var readBudgetByteCount = 256 << 10
    /// Bytes written to one connection in a pass before it is the next one's turn. Looked at between system
    /// calls, each of which takes up to 64 parts.
    public var writeBudgetByteCount = 1 << 20
    /// Connections accepted from one listener in a pass.
    public var acceptBudget = 64
    /// Readiness reports taken from the kernel at once. At most 512. They are gone through in passes of 32 connections
    /// or 256 KiB, so that what is read is still in the processor's cache when it is handled and answered.
    public var readinessBatchMax = 256
    /// Jobs of handlers and actors that a thread runs before it looks after its connections again.
    package var jobsPerPassMax = 512
    /// For tests alone: an error that the engine is given, to see that the simulation finds it.
    package var plantedFault: PlantedFault?
    /// How long `shutdown()` lets connections end gracefully before it cuts them.
    public var shutdownTimeout: Duration = .seconds(5)
    /// A handler that holds its thread for longer than this without suspending is reported: its worker's other
    /// connections wait meanwhile. nil: never. Looked at twice as often, and not while nothing runs.
    public var watchdogThreshold: Duration? = .milliseconds(500)
    /// Called, from any thread, with what an operator should know; rare by construction. The default prints a
    /// line to standard error.
    public var report: @Sendable (Report) -> Void = { $0.printToStandardError() }

    public init() {}
}

/// What an engine can be made to do wrong, each a way in which engines are. Never set but by tests.
package enum PlantedFault: Sendable {
    /// A worker announces its sleep and then does not look again: what was submitted in between is found when something
    /// else wakes it.
    case sleepsWithoutSecondLook
}

/// Limits and deadlines of one connection.
public struct ConnectionLimits: Sendable, Hashable {
    /// Bytes received and not yet taken by the program. At the limit the worker stops reading, the kernel's
    /// buffer fills, and TCP stops the peer.
    public var receiveWindow = 64 << 10
    /// Bytes queued for sending above which `send` says `.aboveMark`, and below `lowWaterMark` `.drained`
    /// follows.
    public var highWaterMark = 64 << 10
    public var lowWaterMark = 32 << 10
    /// Bytes queued for sending at which `send` takes no more, and what happens then.
    public var outboundByteCountMax = 1 << 20
    public var whenOutboundIsFull = OutboundOverflow.close
    /// Neither received nor sent for this long: closed with `.idle`.
    public var idleTimeout: Duration = .seconds(600)
    /// From a frame's first byte until it is whole, however much of it comes meanwhile: closed with `.frameTimedOut`. For
    /// connections with a framing.
    public var frameTimeout: Duration = .seconds(60)
    /// Bytes wait to be sent and the peer takes none of them for this long: cut, with `.stalled`.
    public var writeProgressTimeout: Duration = .seconds(60)
    /// Resolving the name and connecting, over all addresses together.
    public var connectTimeout: Duration = .seconds(10)
    /// How long an attempt to connect has for itself before the next address is tried beside it (Connection
    /// Attempt Delay, RFC 8305 section 5). An attempt that fails is followed at once; where `connectTimeout`
    /// would not suffice for all addresses, they get equal shares of it. 10 ms to 2 s.
    public var connectAttemptDelay: Duration = .milliseconds(250)
    /// After `close()`: how long the peer may take none of what is queued, and how long it may then take to
    /// end its side.
    public var lingerTimeout: Duration = .seconds(5)
    /// After `close()`: bytes thrown away while waiting for the peer's end; past it the connection is reset.
    public var lingerByteCountMax = 4 << 20
    /// Sends small writes at once (`TCP_NODELAY`, tcp(7)). What is queued in one pass leaves together all the
    /// same.
    public var noDelay = true
    /// Whether a connection whose peer has ended its side stays open for sending until the program closes it.
    /// If not, it is closed gracefully once the program has seen `.peerHalfClosed` and asks for the next
    /// event.
    public var keepsHalfOpen = false

    public init() {}
}

/// What happens to a send that finds `outboundByteCountMax` bytes queued.
public enum OutboundOverflow: Sendable, Hashable {
    /// The send is refused, the connection stays.
    case refuse
    /// The send is refused and the connection is cut, with `.slowConsumer` as its reason.
    case close
}

// MARK: - Checking

extension EngineConfiguration {
    /// Throws `.invalidArgument` with the name of the first setting that makes no sense.
    package func validate() throws(AIOError) {
        if let workerCount { try check("workerCount", workerCount, 1...1_024) }
        try check("connectionsMax", connectionsMax, 1...Int.max)
        try check("unseenConnectionsMax", unseenConnectionsMax, 1...Int.max)
        try check("timersMax", timersMax, 0...Int.max)
        try check("postsMax", postsMax, 0...Int.max)
        if let offloadThreadsMax { try check("offloadThreadsMax", offloadThreadsMax, 1...1_024) }
        try check("offloadQueuedMax", offloadQueuedMax, 0...Int.max)
        try check("slabByteCount", slabByteCount, 4_096...(1 << 20))
        try check("idleSlabsMax", idleSlabsMax, 0...Int.max)
        try check("inboundByteCountMax", inboundByteCountMax, slabByteCount...Int.max)
        try check("readBudgetByteCount", readBudgetByteCount, 1...Int.max)
        try check("writeBudgetByteCount", writeBudgetByteCount, 1...Int.max)
        try check("acceptBudget", acceptBudget, 1...65_536)
        try check("readinessBatchMax", readinessBatchMax, 1...512)
        if let watchdogThreshold { try check("watchdogThreshold", watchdogThreshold) }
        if shutdownTimeout < .zero { try check("shutdownTimeout", shutdownTimeout) }
        try connection.validate()
    }
}

extension ConnectionLimits {
    package func validate() throws(AIOError) {
        try check("receiveWindow", receiveWindow, 1...(1 << 30))
        try check("highWaterMark", highWaterMark, 0...Int.max)
        try check("lowWaterMark", lowWaterMark, 0...highWaterMark)
        try check("outboundByteCountMax", outboundByteCountMax, max(1, highWaterMark)...Int.max)
        try check("lingerByteCountMax", lingerByteCountMax, 0...Int.max)
        try check("idleTimeout", idleTimeout)
        try check("frameTimeout", frameTimeout)
        try check("writeProgressTimeout", writeProgressTimeout)
        try check("connectTimeout", connectTimeout)
        try check("connectAttemptDelay", connectAttemptDelay, DialRace.attemptDelayRange)
        try check("lingerTimeout", lingerTimeout)
    }
}

private func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(AIOError) {
    guard range.contains(value) else {
        let detail = "\(name) is \(value), but must be in \(range.lowerBound)...\(range.upperBound)"
        throw AIOError(.invalidArgument, detail: detail)
    }
}

private func check(_ name: String, _ value: Duration, _ range: ClosedRange<Duration>) throws(AIOError) {
    guard range.contains(value) else {
        let detail = "\(name) is \(value), but must be in \(range.lowerBound)...\(range.upperBound)"
        throw AIOError(.invalidArgument, detail: detail)
    }
}

/// A time that is over before it begins is a mistake and not a limit.
private func check(_ name: String, _ value: Duration) throws(AIOError) {
    guard value > .zero else {
        throw AIOError(.invalidArgument, detail: "\(name) is \(value), but must be more than zero")
    }
}
