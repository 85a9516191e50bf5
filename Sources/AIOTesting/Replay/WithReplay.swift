// `withReplay`: a handler under test, served by the production engine on a simulated host, and as its peer the client of a
// recording.

public import AIO
import AIOKernel
public import AIORecording
import AIOWorkers
public import Testing

/// Serves `handler`, an actor for each connection, and plays the client's side of a recording to it.
///
/// ```swift
/// @Test(.simulated(seeds: 0..<200)) func answersAsItDid() async throws {
///     let recording = try Recording(contentsOf: "Tests/Recordings/login.recording")
///     try await withReplay(of: recording, Session.init, arrival: .drawn)
/// }
/// ```
///
/// What the client sent after it had heard so many bytes of the server is not sent before as many have come from the handler;
/// nor before the handler has ended, if the server had. It ends its side, or resets the connection, where the client did; a
/// reset is sent once everything before it has arrived.
///
/// Under `.simulated` it is part of that test's simulation; elsewhere it makes one of its own, of seed `AIO_SEED` or 0.
///
/// - Parameters:
///   - expecting: what the handler is to send. If it does not, that is an issue at the caller's line, with the place in the
///     recording and the difference.
///   - timing: when the client's side is played.
///   - arrival: in which pieces what the client sends arrives; `.asSent` are those of the recording.
///   - patience: how much longer than in the recording the handler may take for what is waited for, in virtual time. With an
///     expectation that leaves open how much comes, the replay goes on then.
/// - Returns: what the handler did; in the last run, if there were several (`.everySplit`).
/// - Throws: `PeerMismatch` for what was recorded as an issue; what the handler threw (but not that its connection was reset, if
///   the client does that, or leaves before its end because the recording does or because it expects anything);
///   `SimulationError` for a dead-lock.
@discardableResult
public func withReplay<Handler: ConnectionHandler>(
    of recording: Recording, _ handler: @escaping @Sendable (Connection) throws -> Handler,
    options: ServerOptions = ServerOptions(), expecting expectation: ReplayExpectation = .exactly,
    timing: ReplayTiming = .atOnce, arrival: Arrival = .asSent, patience: Duration = MockPeer.patience,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws -> ReplayReport {
    let replay = Replay(
        recording: recording, expectation: expectation, timing: timing, patience: patience,
        sourceLocation: sourceLocation)
    return try await replay.run(options, arrival) { try await $0.serve(handler: handler) }
}

/// The same for a handler that is a closure.
@discardableResult
public func withReplay(
    of recording: Recording, options: ServerOptions = ServerOptions(),
    expecting expectation: ReplayExpectation = .exactly, timing: ReplayTiming = .atOnce,
    arrival: Arrival = .asSent, patience: Duration = MockPeer.patience,
    sourceLocation: SourceLocation = #_sourceLocation,
    serving handler: @escaping @Sendable (Connection) async throws -> Void
) async throws -> ReplayReport {
    let replay = Replay(
        recording: recording, expectation: expectation, timing: timing, patience: patience,
        sourceLocation: sourceLocation)
    return try await replay.run(options, arrival) { try await $0.serve(handler) }
}

/// What is replayed, and how.
struct Replay: Sendable {
    let recording: Recording
    let expectation: ReplayExpectation
    let timing: ReplayTiming
    let patience: Duration
    let sourceLocation: SourceLocation

    fileprivate func run(
        _ options: ServerOptions, _ arrival: Arrival,
        _ serve: @escaping @Sendable (Server) async throws -> DrainReport
    ) async throws -> ReplayReport {
        var report: ReplayReport?
        let mayReset = mayReset(.client)
        try await withMockServer(
            options, serve, ignoring: { mayReset && $0.error?.code == .connectionReset }
        ) { server in
            let peer = try await server.connect(arrival: arrival)
            report = try await ReplayPlayer(self, playing: .client, by: peer).play()
        }
        guard let report else { throw SimulationError("nothing was replayed") }
        return report
    }

    /// Whether the side that is played may reset the connection, in the middle or when it leaves.
    func mayReset(_ side: Recording.Side) -> Bool {
        if case .anything = expectation { return true }
        return !recording.isComplete
            || recording.events.contains { $0.side == side && $0.action == .reset }
    }
}
