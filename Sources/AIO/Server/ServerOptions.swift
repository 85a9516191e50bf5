// Everything that can be chosen about a server, in one value.

public import AIOBytes
public import AIOFraming
import AIOKernel
public import AIOWorkers

/// Limits, deadlines and the executor of a server.
public struct ServerOptions: Sendable {
    /// Limits and deadlines of each connection; nil takes the proactor's.
    public var connection: ConnectionLimits?
    /// How received bytes are cut into frames, on the worker; see `Framing`.
    public var framing = Framing.raw
    /// What judges these frames before the program gets them; nil: all pass. Needs a framing.
    public var filter: FrameFilter?
    /// When a connection gets its handler; `.onFirstFrame` needs a framing.
    public var surfacing = Surfacing.onAccept
    /// Has the kernel keep a TCP connection back until its first bytes have come (`TCP_DEFER_ACCEPT`, tcp(7)), for about this long at most, after which it
    /// is accepted as it is; nil: not at all. For protocols in which the client speaks first. Whole seconds, rounded up; the
    /// kernel makes a number of its own retransmissions out of it. Not for Unix sockets.
    public var deferAccept: Duration?
    /// Where handlers run.
    public var executor = HandlerExecutor.worker
    /// Connections of this server open at a time; nil leaves it to the proactor's limit, at which accepting
    /// pauses and the kernel's backlog holds who comes.
    public var connectionsMax: Int?
    /// Connections of this server open at a time from one IP address; nil sets no limit. Peers on Unix sockets
    /// have no address and are not counted.
    public var connectionsPerPeerMax: Int?
    /// What a peer gets that comes when `connectionsMax` or `connectionsPerPeerMax` is reached.
    public var refusal = Refusal.close
    /// Connections that the kernel may hold unaccepted, a socket (listen(2)).
    public var backlog = 4_096
    /// One listening socket whose connections go round the workers, instead of one a worker.
    public var sharesListener = false
    /// After a drain was asked for: how long a connection that has not received anything yet may wait for its
    /// first bytes. Its peer was told that it is connected, and may be about to send.
    public var drainFirstBytesTimeout: Duration = .seconds(1)
    /// How long connections may go on when a listening socket has broken, and `serve` is about to throw.
    public var failedListenerDrainTimeout: Duration = .seconds(10)

    public init() {}

    /// What a refused peer sees.
    public enum Refusal: Sendable, Hashable {
        /// The end of the stream, at once; a reset instead if it has sent something by then.
        case close
        /// A reset.
        case reset
        /// These bytes and then the end.
        case reply(Bytes)
    }
}

/// What became of a server's connections, when `serve` returns.
public struct DrainReport: Sendable, Hashable {
    /// Connections accepted since the beginning, and refused for a limit.
    public var accepted = 0
    public var refused = 0
    /// Handlers that returned and that threw, since the beginning; those that the cut cancelled are among the latter.
    public var completed = 0
    public var failed = 0
    /// Connections open when the drain began, or `serve` was cancelled.
    public var openAtDrain = 0
    /// Connections cut by the drain's deadline or by the cancellation. All others ended by themselves.
    public var cut = 0
    /// Connections that ended before their first frame had passed, so that no handler ran for them
    /// (`ServerOptions.surfacing`).
    public var unsurfaced = 0
    /// `Server.filterCounts` at the end.
    public var filterCounts: FilterCounts?

    public init() {}
}

extension ServerOptions {
    func validate() throws(AIOError) {
        try connection?.validate()
        try check("connectionsMax", connectionsMax ?? 1, isAtLeast: 1)
        try check("connectionsPerPeerMax", connectionsPerPeerMax ?? 1, isAtLeast: 1)
        try check("backlog", backlog, isAtLeast: 0)
        guard drainFirstBytesTimeout >= .zero, failedListenerDrainTimeout >= .zero else {
            throw AIOError(.invalidArgument, detail: "a drain's time limit is negative")
        }
    }

    private func check(_ name: String, _ value: Int, isAtLeast least: Int) throws(AIOError) {
        guard value >= least else {
            throw AIOError(.invalidArgument, detail: "\(name) is \(value), but must be at least \(least)")
        }
    }
}
