// A scripted server: the other side of clients under test. Made by NetworkHost.listen; each connection that it accepts is
// a MockPeer.

import AIOBytes
public import AIOKernel

/// A listening socket in the hands of a script.
///
/// ```swift
/// let upstream = try world.host("upstream").listen(on: "*:80")
/// async let peer = upstream.accept()
/// …   // the program under test connects to "upstream:80"
/// try await peer.expect("GET / ")
/// ```
///
/// Sendable, unchecked: see `Simulation`.
public final class MockListener: @unchecked Sendable {
    /// Where it listens, with the port that the kernel chose if 0 was asked for. Of a wildcard, the host's own address.
    public let endpoint: Endpoint
    private unowned let host: NetworkHost
    private let stream: SimulatedStream
    private var descriptor: Descriptor?

    init(
        on endpoint: Endpoint, of host: NetworkHost, backlog: Int, arrival: Arrival
    ) throws(AIOError) {
        self.host = host
        let kernel = host.kernel
        let socket = try kernel.makeStreamSocket(for: endpoint)
        guard let stream = kernel.file(socket.number, as: SimulatedStream.self, for: "socket") else {
            throw AIOError(.other, call: "socket")
        }
        try kernel.bind(socket, to: endpoint)
        stream.arrival = arrival
        stream.writesWhole = true
        try kernel.listen(socket, backlog: backlog)
        let bound = try kernel.localEndpoint(of: socket)
        self.endpoint = bound.isWildcard ? .ip(host.address, port: bound.port ?? 0) : bound
        self.stream = stream
        descriptor = consume socket
    }

    /// Of its descriptor, while it has one.
    var number: Int32? { descriptor?.number }

    /// How many are connected and wait to be accepted.
    public var waitingCount: Int { stream.waiting.count }

    /// The connection that has waited longest. Suspends until there is one.
    /// - Throws: `CancellationError`; `.closed`; `SimulationError` when nobody has come within `time`, or nobody can go on.
    public func accept(within time: Duration = MockPeer.patience) async throws -> MockPeer {
        let stream = stream
        try await host.simulation.wait(for: "somebody to connect to \(endpoint)", within: time) {
            !stream.waiting.isEmpty || stream.isOrphan
        }
        guard descriptor != nil else { throw AIOError(.closed, call: "accept") }
        guard case .accepted(let accepted, _) = host.kernel.accept(from: descriptor!) else {
            throw AIOError(.other, call: "accept", detail: "a fault")
        }
        return host.peer(on: try PeerSocket(name: host.name, kernel: host.kernel, accepted: accepted))
    }

    /// Ends it: who waits to be accepted is reset, and who comes later is refused.
    public func close() { descriptor = nil }
}
