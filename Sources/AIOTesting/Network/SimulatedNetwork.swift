// The network: carries handshakes, bytes, ends and resets from one socket to the other, one piece a step. The
// scheduler runs it like a thread, so anything may happen between a send and its arrival.

package import AIOKernel
import SystemPackage

/// A connect(2) under way.
struct Handshake {
    let stream: SimulatedStream
    let target: Endpoint
    unowned let machine: SimulatedKernel
    /// To the machine of the target.
    let route: Route
    let due: MonotonicTime
}

/// An address in use.
struct SocketBinding {
    let endpoint: Endpoint
    let stream: SimulatedStream
    unowned let machine: SimulatedKernel
    var sharesPort = false
}

/// What joins the machines of a world.
///
/// Sendable, unchecked: a simulation and all its parts are used by one thread at a time.
package final class SimulatedNetwork: @unchecked Sendable {
    package let time: SimulatedTime
    package let trace: SimulationTrace
    let deviations: Deviations
    /// What the lines between machines are like.
    package let topology: Topology
    /// The hosts that can be looked up.
    package let names = HostTable()
    /// How long what is sent takes to arrive, where nothing else was set.
    package var latency: ClosedRange<Duration> {
        get { topology.defaultConditions.latency }
        set { topology.defaultConditions.latency = newValue }
    }
    /// In which pieces it does, on connections that say nothing else.
    package var arrival = Arrival.drawn

    @safe @exclusivity(unchecked) var chance: SeededRandom
    /// Grows with all that brings something about: bytes, connections, ends, signals. A simulation in which
    /// only time passes is stalled.
    @safe @exclusivity(unchecked) private(set) var activity = 0

    @safe @exclusivity(unchecked) var bindings: [SocketBinding] = []
    @safe @exclusivity(unchecked) private(set) var links: [StreamLink] = []
    /// All ends of connections, which links point to without holding them.
    private var streams: [SimulatedStream] = []
    @safe @exclusivity(unchecked) private(set) var handshakes: [Handshake] = []
    private var nextPort: UInt16 = 40_000
    @safe @exclusivity(unchecked) private var owedEdges = OwedEdges()
    @safe @exclusivity(unchecked) var deferredAccepts = DeferredAccepts()
    private(set) lazy var datagrams = DatagramWire(network: self)
    private var machines: [() -> IPAddress?] = []
    /// Some connection pauses of its own accord.
    private var hasChaos = false

    package init(
        time: SimulatedTime, chance: SeededRandom, trace: SimulationTrace,
        deviations: Deviations = Deviations()
    ) {
        self.time = time
        self.deviations = deviations
        self.chance = chance
        self.trace = trace
        topology = Topology(time: time)
    }

    /// How long the next look-up of a name takes.
    func lookUpTime() -> Duration {
        names.delay.upperBound <= .zero ? .zero : chance.duration(in: names.delay)
    }

    func add(_ machine: SimulatedKernel) { machines.append { [weak machine] in machine?.address } }
    func hasMachine(at address: IPAddress) -> Bool { machines.contains { $0() == address } }

    func noteActivity() { activity += 1 }

    func takePort() -> UInt16 {
        nextPort += 1
        return nextPort
    }

    // MARK: Steps

    /// Whether a step would move something.
    package var hasWork: Bool {
        var index = 0
        while index < links.count {
            if canDeliver(links[index]) { return true }
            index += 1
        }
        if !handshakes.isEmpty, handshakes.contains(where: canAnswer) { return true }
        if owedEdges.isDue(time.now) || deferredAccepts.isDue(time.now) { return true }
        return datagrams.workCount > 0
    }

    /// When what is under way may arrive; nil if nothing is that would wait for time alone.
    package var deadline: MonotonicTime? {
        let ofSockets = [owedEdges.deadline, deferredAccepts.deadline].compactMap { $0 }
        if !topology.takesTime, !hasChaos { return ofSockets.min() }
        let pieces = links.compactMap { $0.isDead || $0.route.isCut ? nil : $0.due }
        let requests = handshakes.compactMap { $0.route.isCut ? nil : $0.due }
        let dues = pieces + requests + ofSockets + [datagrams.deadline].compactMap { $0 }
        return dues.filter { $0 > time.now }.min()
    }

    /// One step: one piece of one link, or one handshake, drawn from those that can move.
    package func deliver() {
        let answerable = handshakes.indices.filter { canAnswer(handshakes[$0]) }
        let deliverable = links.filter(canDeliver)
        let datagramCount = datagrams.workCount
        let owedCount = owedEdges.isDue(time.now) ? 1 : 0
        let deferredCount = deferredAccepts.isDue(time.now) ? 1 : 0
        let most = answerable.count + deliverable.count + datagramCount + owedCount + deferredCount
        guard most > 0 else { return }
        noteActivity()
        var drawn = chance.number(below: most)
        if drawn != 0, !deviations.takes() { drawn = 0 }
        if drawn < answerable.count { return answer(handshakes.remove(at: answerable[drawn])) }
        drawn -= answerable.count
        if drawn < deliverable.count { return deliver(on: deliverable[drawn]) }
        drawn -= deliverable.count
        if drawn < datagramCount { return datagrams.step(drawn) }
        drawn -= datagramCount
        if drawn < owedCount { owedEdges.pay(time.now) } else { deferredAccepts.admitDue(time.now) }
    }

    /// An edge will come to `file` within a millisecond.
    func owe(_ edge: Readiness, to file: SimulatedFile) {
        let delay = Duration.microseconds(chance.number(in: 1...1_000))
        owedEdges.add(edge, to: file, due: time.now.advanced(by: delay))
    }

    // MARK: Handshakes

    func begin(_ stream: SimulatedStream, to target: Endpoint, from machine: SimulatedKernel) {
        let route = topology.route(from: machine.address, to: machine.reached(by: target))
        let due = route.arrival(of: time.now, chance: &chance)
        handshakes.append(
            Handshake(stream: stream, target: target, machine: machine, route: route, due: due))
        noteActivity()
    }

    func forgetHandshake(of stream: SimulatedStream) { handshakes.removeAll { $0.stream === stream } }

    private func listeners(for handshake: Handshake) -> [SimulatedStream] {
        bindings.filter { $0.stream.phase == .listening && matches($0, handshake) }.map(\.stream)
    }

    /// Addresses of loopback, and of Unix sockets, are a machine's own; a wildcard stands for all of its machine's.
    private func matches(_ binding: SocketBinding, _ handshake: Handshake) -> Bool {
        let target = handshake.target
        guard let address = target.address else {
            return binding.machine === handshake.machine && binding.endpoint == target
        }
        let isHere =
            address.isLoopback ? binding.machine === handshake.machine : binding.machine.address == address
        guard isHere, binding.endpoint.port == target.port else { return false }
        return binding.endpoint.address == address || binding.endpoint.isWildcard
    }

    /// Linux drops the handshake's packets while the listener's queue is full, and the peer tries again.
    private func canAnswer(_ handshake: Handshake) -> Bool {
        guard handshake.due <= time.now, !handshake.route.isCut else { return false }
        let listeners = listeners(for: handshake)
        return listeners.isEmpty || listeners.contains { $0.waiting.count < $0.backlog }
    }

    private func answer(_ handshake: Handshake) {
        let client = handshake.stream
        let candidates = listeners(for: handshake).filter { $0.waiting.count < $0.backlog }
        guard !candidates.isEmpty else {
            trace.note("refused")
            client.fail(.connectionRefused)
            return
        }
        connect(client, to: candidates[chance.number(below: candidates.count)], by: handshake.route)
    }

    /// Both ends are there from now on; the listener's is in its queue.
    func connect(_ client: SimulatedStream, to listener: SimulatedStream, by route: Route) {
        let server = SimulatedStream(sendMax: listener.sendMax, receiveMax: listener.receiveMax)
        server.phase = .connected
        server.local = client.peer
        server.peer = client.local
        server.arrival = listener.arrival
        server.writesWhole = listener.writesWhole
        server.network = self
        server.arrival = listener.arrival
        server.writesWhole = listener.writesWhole
        join(client, server, by: route)
        join(server, client, by: topology.route(from: route.to, to: route.from))
        client.phase = .connected
        client.changed(.writable)
        if let patience = listener.deferAccept {
            trace.note("connected, waiting for its first bytes")
            return deferredAccepts.add(server, for: listener, until: time.now.advanced(by: patience))
        }
        listener.waiting.append(server)
        trace.note("connected, waiting to be accepted:", listener.waiting.count)
        listener.changed(.readable)
    }

    private func join(_ sender: SimulatedStream, _ receiver: SimulatedStream, by route: Route) {
        let link = StreamLink(from: sender, to: receiver, by: route)
        link.arrival = sender.arrival ?? arrival
        if link.arrival == .chaos { hasChaos = true }
        sender.outgoing = link
        receiver.incoming = link
        streams.append(sender)
        links.append(link)
    }

    // MARK: Bytes, ends, resets

    /// Bytes leave one after the other, and as segments where that makes a difference.
    func send(_ bytes: [UInt8], on link: StreamLink) {
        let segmentMax =
            link.route.conditions.bytesPerSecond == nil || link.keepsWritesWhole ? Int.max : 1_460
        var rest = bytes[...]
        repeat {
            let segment = rest.prefix(segmentMax)
            rest = rest.dropFirst(segmentMax)
            let left = link.route.leave(segment.count, now: time.now)
            link.send(segment, due: link.route.arrival(of: left, chance: &chance))
        } while !rest.isEmpty
    }

    private func canDeliver(_ link: StreamLink) -> Bool {
        if link.isDead || link.route.isCut { return false }
        if link.hasReset { return link.resetDue <= time.now }
        if link.sent.isEmpty { return link.hasEnd && !link.endArrived && link.endDue <= time.now }
        if link.receiver.isOrphan { return link.due ?? .distantFuture <= time.now }
        return link.hasPiece(room: link.receiver.receiveMax - link.arrived.count, now: time.now)
    }

    private func deliver(on link: StreamLink) {
        deferredAccepts.arrived(at: link.receiver)
        defer { links.removeAll { $0.isDead && $0.receiver.isOrphan && $0.sender.isOrphan } }
        if link.hasReset {
            deliverReset(on: link)
        } else if link.sent.isEmpty {
            deliverEnd(on: link)
        } else if link.receiver.isOrphan {
            // Bytes for a socket that was closed: the answer is a reset.
            trace.note("bytes for a closed socket", link.sent.count)
            link.isDead = true
            link.receiver.outgoing?.reset(now: time.now)
        } else {
            deliverBytes(on: link)
        }
    }

    private func deliverBytes(on link: StreamLink) {
        let room = link.receiver.receiveMax - link.arrived.count
        var byteCount = link.nextPiece(room: room, now: time.now, chance: &chance)
        let most = link.drawnPieceMax(room: room, now: time.now)
        if byteCount < most, !deviations.takes() { byteCount = most }
        link.deliver(byteCount)
        trace.note("delivered", byteCount, link.sent.count)
        link.receiver.changed(.readable)
        link.sender.spaceFreed()
    }

    private func deliverEnd(on link: StreamLink) {
        link.endArrived = true
        trace.note("delivered the end")
        // Both directions have ended in order: nothing more can come.
        if link.receiver.isOrphan {
            link.isDead = true
        } else {
            if link.endIsError { link.receiver.pendingError = .connectionReset }
            link.receiver.changed()
        }
    }

    /// tcp_reset(): ECONNRESET, but EPIPE for an end that knew already that the other had ended, and had not
    /// ended itself (CLOSE_WAIT).
    private func deliverReset(on link: StreamLink) {
        link.isDead = true
        let receiver = link.receiver
        trace.note("delivered a reset")
        guard receiver.phase == .connected else { return }
        receiver.outgoing?.discard()
        receiver.outgoing?.isDead = true
        if receiver.isOrphan { return }
        let knewTheEnd = link.endArrived && !receiver.hasEnded
        receiver.fail(knewTheEnd ? .brokenPipe : .connectionReset)
    }
}
