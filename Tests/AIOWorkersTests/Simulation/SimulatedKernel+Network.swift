// The wire: carries handshakes, bytes, ends and resets from one socket to the other, one piece a step. The
// host schedules it like a thread, so anything may happen between a send and its arrival.

import AIOKernel
import SystemPackage

/// A connect(2) under way.
struct Handshake {
    let stream: SimulatedStream
    let target: Endpoint
}

extension SimulatedKernel {
    /// Whether a step of the wire would move something.
    var networkHasWork: Bool {
        var index = 0
        while index < links.count {
            if canDeliver(links[index]) { return true }
            index += 1
        }
        return !handshakes.isEmpty && handshakes.contains(where: canAnswer)
    }

    /// One step: one piece of one link, or one handshake, drawn from those that can move.
    func deliver() {
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

    private func listeners(on target: Endpoint) -> [SimulatedStream] {
        bindings.filter { $0.endpoint == target && $0.stream.phase == .listening }.map(\.stream)
    }

    /// Linux drops the handshake's packets while the listener's queue is full, and the peer tries again.
    private func canAnswer(_ handshake: Handshake) -> Bool {
        let listeners = listeners(on: handshake.target)
        return listeners.isEmpty || listeners.contains { $0.waiting.count < $0.backlog }
    }

    private func answer(_ handshake: Handshake) {
        let client = handshake.stream
        let candidates = listeners(on: handshake.target).filter { $0.waiting.count < $0.backlog }
        guard !candidates.isEmpty else {
            trace.note("refused")
            client.fail(.connectionRefused)
            return
        }
        let listener = candidates[chance.number(below: candidates.count)]
        let server = SimulatedStream(options: options)
        server.phase = .connected
        server.local = handshake.target
        server.peer = client.local
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
        return link.receiver.isOrphan || link.arrived.count < link.receiver.receiveMax
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
        let room = min(link.receiver.receiveMax - link.arrived.count, link.sent.count)
        let byteCount = chance.isOne(in: 2) ? room : chance.number(in: 1...room)
        link.arrived.append(contentsOf: link.sent.prefix(byteCount))
        link.sent.removeFirst(byteCount)
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
        receiver.outgoing?.sent = []
        receiver.outgoing?.isDead = true
        if receiver.isOrphan { return }
        let knewTheEnd = link.endArrived && !receiver.hasEnded
        receiver.fail(knewTheEnd ? .brokenPipe : .connectionReset)
    }
}
