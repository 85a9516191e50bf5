// `withReplayedServer`: the other way round. A client under test, on a simulated host, and as its peer the server of a
// recording.

public import AIO
import AIOBytes
public import AIOKernel
public import AIORecording
public import Testing

/// Runs a client, and plays the server's side of a recording to the one connection that it makes to the endpoint that it is
/// given.
///
/// ```swift
/// try await withReplayedServer(of: recording, arrival: .drawn) { aio, endpoint in
///     try await aio.connect(to: endpoint) { connection in try await login(connection) }
/// }
/// ```
///
/// As in `withReplay`, with the sides exchanged: what the server sent after it had heard so many bytes of the client is not sent
/// before as many have come, and what comes is compared with what the client sent.
///
/// - Parameters:
///   - expecting: what the client is to send. If it does not, that is an issue at the caller's line.
///   - timing: when the server's side is played.
///   - arrival: in which pieces what the server sends arrives.
///   - patience: how much longer than in the recording the client may take, in virtual time; also to connect.
/// - Returns: what the client did; in the last run, if there were several (`.everySplit`).
/// - Throws: `PeerMismatch` for what was recorded as an issue; what the client threw (but not that its connection was reset, if the
///   server does that, or leaves before its end); `SimulationError` for a dead-lock, or if nobody connects.
@discardableResult
public func withReplayedServer(
    of recording: Recording, expecting expectation: ReplayExpectation = .exactly,
    timing: ReplayTiming = .atOnce, arrival: Arrival = .asSent, patience: Duration = MockPeer.patience,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ client: @escaping @Sendable (Proactor, Endpoint) async throws -> Void
) async throws -> ReplayReport {
    let replay = Replay(
        recording: recording, expectation: expectation, timing: timing, patience: patience,
        sourceLocation: sourceLocation)
    return try await withSimulation { simulation in
        let splits = EverySplit()
        while true {
            let report = try await replay.run(client, arrival, splits, in: simulation)
            guard try splits.next() else { return report }
        }
    }
}

extension Replay {
    fileprivate func run(
        _ client: @escaping @Sendable (Proactor, Endpoint) async throws -> Void, _ arrival: Arrival,
        _ splits: EverySplit, in simulation: Simulation
    ) async throws -> ReplayReport {
        let server = simulation.makeHost(named: "server"), host = simulation.makeHost(named: "client")
        let listener = try PeerListener(
            on: server, arrival: splits.arrival(ofPeer: 0, asking: arrival))
        let endpoint = listener.endpoint
        return try await host.withProactor { aio in
            let running = Task(executorPreference: simulation.executor) { try await client(aio, endpoint) }
            do {
                let peer = try await listener.accept(within: patience)
                if arrival == .everySplit { splits.note(peer, index: 0) }
                let report = try await ReplayPlayer(self, playing: .server, by: peer).play()
                peer.close()
                try await end(running)
                return report
            } catch {
                running.cancel()
                let ended = await running.result
                // Why nobody connected is what the client says.
                if case .failure(let its) = ended, error is SimulationError, !(its is CancellationError) {
                    throw its
                }
                throw error
            }
        }
    }

    private func end(_ client: Task<Void, any Error>) async throws {
        do {
            try await client.value
        } catch let error as AIOError where error.code == .connectionReset && mayReset(.server) {}
    }
}

/// A socket that scripted peers come from.
private final class PeerListener {
    let endpoint: Endpoint
    private let host: NetworkHost
    private let descriptor: Descriptor
    private let stream: SimulatedStream
    private let arrival: Arrival

    init(on host: NetworkHost, arrival: Arrival) throws {
        self.host = host
        self.arrival = arrival
        endpoint = .ip(host.address, port: 4_000)
        let kernel = host.kernel
        descriptor = try kernel.makeStreamSocket(for: endpoint)
        try kernel.bind(descriptor, to: endpoint)
        try kernel.listen(descriptor, backlog: 1)
        guard let stream = kernel.file(descriptor.number, as: SimulatedStream.self, for: "listen") else {
            throw SimulationError("a listening socket is none")
        }
        self.stream = stream
        stream.arrival = arrival
        stream.writesWhole = true
    }

    func accept(within timeout: Duration) async throws -> MockPeer {
        let simulation = host.simulation
        try await simulation.wait(for: "the client to connect", within: timeout) { [stream] in
            !stream.waiting.isEmpty
        }
        guard case .accepted(let accepted, _) = host.kernel.accept(from: descriptor) else {
            throw SimulationError("the client's connection could not be accepted")
        }
        let socket = try PeerSocket(
            name: host.name, kernel: host.kernel, accepted: accepted, arrival: arrival)
        simulation.scheduler.add(socket)
        return MockPeer(simulation: simulation, socket: socket)
    }
}
