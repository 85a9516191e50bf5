// The network: carries handshakes, bytes, ends and resets from one socket to the other, one piece a step. The
// scheduler runs it like a thread, so anything may happen between a send and its arrival.

package import AIOKernel
import SystemPackage

/// A connect(2) under way.
struct Handshake {
    let stream: SimulatedStream
    let target: Endpoint
    unowned let machine: SimulatedKernel
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
    /// How long what is sent takes to arrive.
    package var latency: ClosedRange<Duration> = .zero ... .zero
    /// In which pieces it does, on connections that say nothing else.
    package var arrival = Arrival.drawn

    var chance: SeededRandom
    /// Grows with all that brings something about: bytes, connections, ends, signals. A simulation in which
    /// only time passes is stalled.
    private(set) var activity = 0

    var bindings: [SocketBinding] = []
    private(set) var links: [StreamLink] = []
    /// All ends of connections, which links point to without holding them.
    private var streams: [SimulatedStream] = []
    private(set) var handshakes: [Handshake] = []
    private var nextPort: UInt16 = 40_000

    package init(time: SimulatedTime, chance: SeededRandom, trace: SimulationTrace) {
        self.time = time
        self.chance = chance
        self.trace = trace
    }

    func noteActivity() { activity += 1 }

    func takePort() -> UInt16 {
        nextPort += 1
        return nextPort
    }

    /// When something that is sent now arrives.
    func dueTime() -> MonotonicTime {
        if latency.upperBound <= .zero { return time.now }
        let least = latency.lowerBound.nanoseconds, most = latency.upperBound.nanoseconds
        return time.now.advanced(by: .nanoseconds(chance.number(in: least...most)))
    }

    // MARK: Steps

    /// Whether a step would move something.
    package var hasWork: Bool {
        var index = 0
        while index < links.count {
            if canDeliver(links[index]) { return true }
            index += 1
        }
        return !handshakes.isEmpty && handshakes.contains(where: canAnswer)
    }

    /// When what is under way may arrive; nil if nothing is that would wait for time alone.
    package var deadline: MonotonicTime? {
        if latency.upperBound <= .zero { return nil }
        let pieces = links.compactMap { $0.isDead ? nil : $0.due }
        return (pieces + handshakes.map(\.due)).filter { $0 > time.now }.min()
    }

    /// One step: one piece of one link, or one handshake, drawn from those that can move.
    package func deliver() {
        let answerable = handshakes.indices.filter { canAnswer(handshakes[$0]) }
        let deliverable = links.filter(canDeliver)
        guard answerable.count + deliverable.count > 0 else { return }
        noteActivity()
        let drawn = chance.number(below: answerable.count + deliverable.count)
        if drawn < answerable.count {
            answer(handshakes.remove(at: answerable[drawn]))
        } else {
            deliver(on: deliverable[drawn - answerable.count])
        }
        links.removeAll { $0.isDead && $0.receiver.isOrphan && $0.sender.isOrphan }
    }

    // MARK: Handshakes

    func begin(_ stream: SimulatedStream, to target: Endpoint, from machine: SimulatedKernel) {
        handshakes.append(Handshake(stream: stream, target: target, machine: machine, due: dueTime()))
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
        guard isHere, binding.endpoint.port == target.port, let bound = binding.endpoint.address else {
            return false
        }
        return bound == address || bound.isUnspecified
    }

    /// Linux drops the handshake's packets while the listener's queue is full, and the peer tries again.
    private func canAnswer(_ handshake: Handshake) -> Bool {
        guard handshake.due <= time.now else { return false }
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
        let listener = candidates[chance.number(below: candidates.count)]
        let server = SimulatedStream(sendMax: listener.sendMax, receiveMax: listener.receiveMax)
        server.phase = .connected
        server.local = handshake.target
        server.peer = client.local
        server.network = self
        join(client, server)
        join(server, client)
        client.phase = .connected
        listener.waiting.append(server)
        trace.note("connected, waiting to be accepted:", listener.waiting.count)
        listener.changed(.readable)
        client.changed(.writable)
    }

    private func join(_ sender: SimulatedStream, _ receiver: SimulatedStream) {
        let link = StreamLink(from: sender, to: receiver)
        link.arrival = sender.arrival ?? arrival
        sender.outgoing = link
        receiver.incoming = link
        streams.append(sender)
        links.append(link)
    }

    // MARK: Bytes, ends, resets

    private func canDeliver(_ link: StreamLink) -> Bool {
        if link.isDead { return false }
        if link.hasReset { return true }
        if link.sent.isEmpty { return link.hasEnd && !link.endArrived }
        if link.receiver.isOrphan { return true }
        return link.hasPiece(room: link.receiver.receiveMax - link.arrived.count, now: time.now)
    }

    private func deliver(on link: StreamLink) {
        if link.hasReset {
            deliverReset(on: link)
        } else if link.sent.isEmpty {
            deliverEnd(on: link)
        } else if link.receiver.isOrphan {
            // Bytes for a socket that was closed: the answer is a reset.
            trace.note("bytes for a closed socket", link.sent.count)
            link.isDead = true
            link.receiver.outgoing?.reset()
        } else {
            deliverBytes(on: link)
        }
    }

    private func deliverBytes(on link: StreamLink) {
        let room = link.receiver.receiveMax - link.arrived.count
        let byteCount = link.nextPiece(room: room, now: time.now, chance: &chance)
        link.deliver(byteCount)
        trace.note("delivered", byteCount, link.sent.count)
        link.receiver.changed(.readable)
        link.sender.spaceFreed()
    }

    private func deliverEnd(on link: StreamLink) {
        link.endArrived = true
        trace.note("delivered the end")
        // Both directions have ended in order: nothing more can come.
        if link.receiver.isOrphan { link.isDead = true } else { link.receiver.changed() }
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

extension Duration {
    fileprivate var nanoseconds: Int {
        Int(components.seconds) * 1_000_000_000 + Int(components.attoseconds / 1_000_000_000)
    }
}
