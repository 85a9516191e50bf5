// A host of a simulated world: a kernel, an address and a name of its own. Made by Simulation.host; runs proactors, programs
// and scripted peers.

public import AIO
public import AIOKernel
import AIOWorkers

/// A simulated machine, with an address in the world's network and a name that the others can look up.
///
/// Sendable, unchecked: see `Simulation`.
public final class NetworkHost: @unchecked Sendable {
    public let name: String
    let kernel: SimulatedKernel
    let host: SimulatedHost
    unowned let simulation: Simulation
    /// What the engines on this host have reported, in order.
    public private(set) var reports: [Report] = []
    private var runningProactors = 0
    /// Of scripted peers: not the proactors' concern.
    private var peerSockets: [PeerSocket] = []
    private var listeners: [MockListener] = []

    init(name: String, kernel: SimulatedKernel, host: SimulatedHost, simulation: Simulation) {
        self.name = name
        self.kernel = kernel
        self.host = host
        self.simulation = simulation
    }

    /// Its address, besides loopback.
    public var address: IPAddress { kernel.address }

    /// What is to go wrong with the system calls of this host.
    public var faults: Faults { kernel.faults }

    // MARK: Programs

    /// Runs `body` with a proactor of this host, and shuts that down afterwards, however `body` ends.
    ///
    /// It has one worker unless `configure` says otherwise, and what it reports goes to `reports` alone. The production engine runs, over this host's kernel.
    /// - Throws: what `body` throws; what `Proactor.shutdown` does; `SimulationError` if the last proactor of the host leaves a
    ///   descriptor open.
    public func withProactor<Result>(
        configure: (inout Proactor.Configuration) -> Void = { _ in },
        _ body: (Proactor) async throws -> Result
    ) async throws -> Result {
        var configuration = Proactor.Configuration()
        configuration.workerCount = 1
        configuration.slabByteCount = 4_096
        configuration.inboundByteCountMax = 1 << 20
        configuration.report = { _ in }
        configure(&configuration)
        // Others come in between any two jobs, and nothing here takes any time that a watchdog could see.
        configuration.jobsPerPassMax = 1
        configuration.watchdogThreshold = nil
        let report = configuration.report
        configuration.report = { [weak self] in
            self?.reports.append($0)
            report($0)
        }
        let aio = try Proactor(configuration, kernel: kernel, host: host)
        runningProactors += 1
        let result: Result
        do {
            result = try await body(aio)
        } catch {
            try? await aio.shutdown()
            runningProactors -= 1
            throw error
        }
        try await aio.shutdown()
        runningProactors -= 1
        try checkThatNothingIsOpen()
        return result
    }

    private func checkThatNothingIsOpen() throws(SimulationError) {
        guard runningProactors == 0 else { return }
        let known = peerSockets.compactMap(\.number) + listeners.compactMap(\.number)
        let left = kernel.openDescriptors(besides: known)
        guard left.isEmpty else {
            throw SimulationError("left open on \(name): \(left.joined(separator: ", "))")
        }
    }

    /// Starts a program on this host, beside whatever else goes on, with a proactor of its own.
    ///
    /// ```swift
    /// world.host("server").run { aio in
    ///     try await aio.serve(on: "*:80") { connection in … }
    /// }
    /// ```
    ///
    /// It is cancelled and waited for when the body of `withSimulation` (or `Simulation.run`) returns. What it throws of its
    /// own accord is thrown there, unless `HostProgram.value` has told it before.
    @discardableResult
    public func run(
        configure: @escaping @Sendable (inout Proactor.Configuration) -> Void = { _ in },
        _ program: @escaping @Sendable (Proactor) async throws -> Void
    ) -> HostProgram {
        let task = Task(executorPreference: simulation.executor) { [self] in
            try await withProactor(configure: configure) { try await program($0) }
        }
        let running = HostProgram(host: self, task: task)
        simulation.began(running)
        return running
    }

    // MARK: Peers

    /// A scripted peer on this host, connected to `endpoint`: an address, or a host's name with a port.
    ///
    /// Suspends until its kernel says that it is connected, or that it was refused; which the peer finds out by what it expects.
    /// - Parameter arrival: in which pieces what it sends arrives; `.everySplit` is for `withMockPeer` and `withMockServer`.
    /// - Throws: `AIOError` if there is no such name, or the host's kernel makes no socket.
    public func connect(to endpoint: Endpoint, arrival: Arrival = .asSent) async throws -> MockPeer {
        var target = endpoint
        if let (host, port) = endpoint.hostAndPort {
            target = try kernel.resolve(host: host, port: port)[0]
        }
        let socket = try PeerSocket(name: name, kernel: kernel, target: target, arrival: arrival)
        let peer = peer(on: socket)
        _ = await simulation.waits.wait(for: { "the connection" }) { !socket.isConnecting }
        return peer
    }

    func peer(on socket: PeerSocket) -> MockPeer {
        peerSockets.append(socket)
        simulation.scheduler.add(socket)
        return MockPeer(simulation: simulation, socket: socket)
    }

    /// The same for an endpoint in text.
    public func connect(to endpoint: String, arrival: Arrival = .asSent) async throws -> MockPeer {
        try await connect(to: Endpoint(parsing: endpoint), arrival: arrival)
    }

    /// A scripted server on this host, for a client under test: it listens from now on, and accepts when the script says so.
    /// - Parameters:
    ///   - backlog: how many may be connected and not accepted. Who comes beyond that gets no answer (on a Unix socket's
    ///     path: is asked to come again) until one of them is.
    ///   - arrival: in which pieces what its peers send arrives.
    /// - Throws: `.addressInUse`; `AIOError` if the host's kernel makes no socket.
    public func listen(
        on endpoint: Endpoint, backlog: Int = 128, arrival: Arrival = .asSent
    ) throws(AIOError) -> MockListener {
        let listener = try MockListener(on: endpoint, of: self, backlog: backlog, arrival: arrival)
        listeners.append(listener)
        return listener
    }

    /// The same for an endpoint in text, such as `"*:80"`.
    public func listen(
        on endpoint: String, backlog: Int = 128, arrival: Arrival = .asSent
    ) throws(AIOError) -> MockListener {
        try listen(on: Endpoint(parsing: endpoint), backlog: backlog, arrival: arrival)
    }
}

/// A program that runs on a host. See `NetworkHost.run`.
///
/// Sendable, unchecked: see `Simulation`.
public final class HostProgram: @unchecked Sendable {
    private let host: NetworkHost
    private let task: Task<Void, any Error>
    private var wasCancelled = false
    private var wasTold = false

    init(host: NetworkHost, task: Task<Void, any Error>) {
        self.host = host
        self.task = task
    }

    /// Waits until it has ended; throws what it threw.
    public var value: Void {
        get async throws {
            wasTold = true
            try await task.value
        }
    }

    /// Cancels it, as the end of the world does.
    public func cancel() {
        wasCancelled = true
        task.cancel()
    }

    /// At the end: what it threw, if that was not for being cancelled and nobody was told.
    func end() async -> SimulationError? {
        let hadEnded = wasCancelled
        cancel()
        do {
            try await task.value
        } catch {
            let isCancellation = error is CancellationError
            if !wasTold, !hadEnded, !isCancellation {
                return SimulationError("the program on \(host.name) failed: \(error)")
            }
        }
        return nil
    }
}
