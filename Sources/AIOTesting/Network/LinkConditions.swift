// What a line between two machines is like, as a test wants it. Read by Route.swift, which makes times of it.

/// What it takes to get from one machine to another. The same in both directions, each of which has the whole of it.
public struct LinkConditions: Sendable, Hashable {
    /// How long what is sent takes to arrive, drawn for each write and datagram. What a connection carries stays in
    /// order all the same.
    public var latency: ClosedRange<Duration> = .zero ... .zero
    /// What all connections and datagrams of one direction share; nil: no limit.
    public var bytesPerSecond: Int?

    // MARK: Datagrams only

    /// How likely a datagram is to be lost, 0 to 1.
    public var loss = 0.0
    /// How likely it is to arrive a second time.
    public var duplication = 0.0
    /// How likely it is to be held up by `reorderingDelay`, so that what was sent after it may overtake it.
    public var reordering = 0.0
    public var reorderingDelay: ClosedRange<Duration> = .milliseconds(1) ... .milliseconds(10)
    /// Of the payload; longer datagrams are refused to the sender (EMSGSIZE). nil: what UDP itself allows.
    public var datagramByteCountMax: Int?

    public init(
        latency: ClosedRange<Duration> = .zero ... .zero, bytesPerSecond: Int? = nil
    ) {
        self.latency = latency
        self.bytesPerSecond = bytesPerSecond
    }

    /// Whether what is sent takes any time.
    var takesTime: Bool { latency.upperBound > .zero || bytesPerSecond != nil || reordering > 0 }
}
