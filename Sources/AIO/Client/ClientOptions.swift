// Everything that can be chosen about a connection that this side makes, in one value.

public import AIOFraming
public import AIOWorkers

/// Limits, deadlines and the executor of a connection made with `Proactor.connect`.
public struct ClientOptions: Sendable {
    /// Limits and deadlines of the connection; nil takes the proactor's.
    public var connection: ConnectionLimits?
    /// How received bytes are cut into frames, on the worker; see `Framing`.
    public var framing = Framing.raw
    /// Where the body of a scoped `connect` runs. A body that is isolated to an actor stays on that actor.
    public var executor = HandlerExecutor.worker

    public init() {}
}
