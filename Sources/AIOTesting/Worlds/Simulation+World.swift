// What a test does with a world: hosts, the lines between them, things that are to happen at a time, waiting.

public import AIO
import AIOKernel

extension Simulation {
    // MARK: Hosts

    /// The host of this name; made, with an address of its own, when it is first asked for.
    ///
    /// All hosts of the world can look its name up.
    public func host(_ name: String) -> NetworkHost {
        if let known = hosts.first(where: { $0.name == name }) { return known }
        let host = makeHost(named: name)
        network.names.set(name, to: [host.address])
        return host
    }

    /// What looking up names answers, on all hosts.
    public var names: HostTable { network.names }

    // MARK: Lines

    /// What the line between any two hosts is like for which nothing else was set; also of a host with itself. May be changed at
    /// any time; what is under way keeps its time.
    public var conditions: LinkConditions {
        get { network.topology.defaultConditions }
        set { network.topology.defaultConditions = newValue }
    }

    /// What the line between these two is like, in both directions.
    public func setConditions(_ conditions: LinkConditions, between one: NetworkHost, and other: NetworkHost)
    {
        network.topology.set(conditions, between: one.address, and: other.address)
    }

    /// Cuts the lines between each of `group` and each of `others`, until what is returned heals or is released.
    ///
    /// What connections send meanwhile is held, as by TCP's retransmission, and arrives after that; so are handshakes, ends
    /// and resets. Datagrams are lost.
    public func partition(_ group: [NetworkHost], from others: [NetworkHost]) -> Partition {
        network.topology.partition(group.map(\.address), from: others.map(\.address))
    }

    /// Cuts a host off from all others, those included that are made later.
    public func isolate(_ host: NetworkHost) -> Partition { network.topology.isolate([host.address]) }

    // MARK: Time

    /// The world's clock, which all clocks and deadlines in it go by. Sleeping on it is waiting in virtual time.
    public var clock: AIOClock { AIOClock(WorldTime(simulation: self)) }

    /// Has `body` called when so much time has passed: a partition, a fault, a change of a line. It is a step of the schedule.
    /// What is still to come when the simulation's body returns is not called any more.
    public func schedule(after delay: Duration, _ body: @escaping @Sendable () -> Void) {
        plan.add(at: time.now.advanced(by: delay), body)
    }

    /// Lets so much time pass, with all that happens in it; returns when everybody has done what was due by then.
    /// - Throws: `CancellationError`; `SimulationError` if the run has broken down.
    public func advance(by duration: Duration) async throws {
        let target = time.now.advanced(by: duration)
        scheduler.allowTime(until: target)
        try await sleep(until: target, what: "\(duration) to pass")
        await settle()
    }

    /// Keeps time from jumping ahead when nobody can go on, until what is returned ends or is released: then only `advance`
    /// moves it (and each step, which takes a microsecond). When nobody can go on meanwhile, that is a dead-lock.
    public func holdTime() -> TimeHold { TimeHold(scheduler) }

    /// Waits until everybody has done what can be done without time passing.
    public func settle() async { await suspendUntilQuiet() }

    /// Waits until `condition` holds, which is looked at between steps.
    /// - Parameters:
    ///   - what: what is waited for, for the list of a dead-lock.
    ///   - timeout: in virtual time.
    /// - Throws: `CancellationError`; `SimulationError` when the time is over, or nobody can go on.
    public func wait(
        for what: String, within timeout: Duration = .seconds(60),
        until condition: @escaping () -> Bool
    ) async throws {
        let deadline = time.now.advanced(by: timeout)
        switch await waits.wait(for: { what }, until: deadline, isReady: condition) {
        case .ready: return
        case .cancelled: throw CancellationError()
        case .timedOut: throw SimulationError("\(what): not within \(timeout)", seed: seed, trace: trace)
        case .failed(let failure): throw SimulationError(failure, seed: seed, trace: trace)
        }
    }

    fileprivate func sleep(until deadline: MonotonicTime, what: String) async throws {
        switch await waits.wait(for: { what }, until: deadline, isReady: { false }) {
        case .ready, .timedOut: return
        case .cancelled: throw CancellationError()
        case .failed(let failure): throw SimulationError(failure, seed: seed, trace: trace)
        }
    }
}

/// Virtual time as a clock's source.
private struct WorldTime: ClockSource {
    let simulation: Simulation

    var currentTime: MonotonicTime { simulation.time.now }

    func sleep(until deadline: MonotonicTime) async throws {
        try Task.checkCancellation()
        guard deadline > currentTime else { return }
        try await simulation.sleep(until: deadline, what: "the clock")
    }
}

/// Time that does not jump. It lasts until it ends, or is released.
///
/// Sendable, unchecked: see `Simulation`.
public final class TimeHold: @unchecked Sendable {
    private weak var scheduler: Scheduler?

    init(_ scheduler: Scheduler) {
        self.scheduler = scheduler
        scheduler.holdTime()
    }

    deinit { end() }

    /// Time jumps again, as far as no other hold is there. May be called more than once.
    public func end() {
        scheduler?.letTimeGo()
        scheduler = nil
    }
}
