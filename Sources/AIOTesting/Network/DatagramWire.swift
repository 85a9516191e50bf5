// Datagrams between machines: part of the network. Takes them from send buffers, loses, doubles and delays some, and puts
// the others into receive buffers, one a step.

import AIOBytes
import AIOKernel
import SystemPackage

/// A bound UDP socket.
private struct BoundSocket {
    let socket: SimulatedDatagramSocket
    unowned let machine: SimulatedKernel
}

/// On its way to a machine.
private struct Packet {
    enum Content {
        case datagram(Bytes)
        /// ICMP's port unreachable, about a datagram that `target` had sent to `sender`.
        case unreachable
    }

    let content: Content
    let sender: Endpoint
    let target: Endpoint
    let route: Route
    let due: MonotonicTime
}

/// All datagrams under way, and the sockets they are for.
///
/// Between two machines they keep their order unless the line reorders: the due times of a route never go back, but for
/// those that are held up. What a partition finds on the way still arrives; what is sent in one is lost.
final class DatagramWire {
    private unowned let network: SimulatedNetwork
    private var bound: [BoundSocket] = []
    /// In the order in which they arrive.
    private var packets: [Packet] = []

    init(network: SimulatedNetwork) { self.network = network }

    private var now: MonotonicTime { network.time.now }

    // MARK: Sockets

    /// False if the address is in use.
    func bind(_ socket: SimulatedDatagramSocket, to endpoint: Endpoint, on machine: SimulatedKernel) -> Bool {
        let isTaken = bound.contains { other in
            guard other.machine === machine, let local = other.socket.local else { return false }
            let overlap = local == endpoint || local.isWildcard || endpoint.isWildcard
            return local.port == endpoint.port && overlap
                && !(other.socket.sharesAddress && socket.sharesAddress)
        }
        guard !isTaken else { return false }
        socket.local = endpoint
        bound.append(BoundSocket(socket: socket, machine: machine))
        return true
    }

    /// What is in its send buffer still leaves.
    func close(_ socket: SimulatedDatagramSocket) {
        guard let index = bound.firstIndex(where: { $0.socket === socket }) else { return }
        let closed = bound.remove(at: index)
        guard !socket.holdsDatagrams else { return }
        while let datagram = socket.popBuffered() { carry(datagram, from: closed) }
    }

    /// Who gets a datagram: a connected socket before others, a certain address before all, and of equals the one
    /// that was bound last.
    private func receiver(of packet: Packet) -> SimulatedDatagramSocket? {
        var best: (socket: SimulatedDatagramSocket, score: Int)?
        for candidate in bound where candidate.machine.address == packet.route.to {
            let socket = candidate.socket
            guard let local = socket.local, local.port == packet.target.port else { continue }
            guard local.isWildcard || local.address == packet.target.address else { continue }
            guard socket.peer == nil || socket.peer == packet.sender else { continue }
            let score = (socket.peer == nil ? 0 : 2) + (local.isWildcard ? 0 : 1)
            if score >= best?.score ?? 0 { best = (socket, score) }
        }
        return best?.socket
    }

    // MARK: Steps

    private func canDepart(_ bound: BoundSocket) -> Bool {
        guard !bound.socket.holdsDatagrams, let first = bound.socket.buffered.first else { return false }
        return first.leaves <= now
    }

    var workCount: Int {
        if bound.isEmpty && packets.isEmpty { return 0 }
        let arriving = packets.first.map { $0.due <= now } ?? false
        return bound.count(where: canDepart) + (arriving ? 1 : 0)
    }

    var deadline: MonotonicTime? {
        let departures = bound.compactMap {
            $0.socket.holdsDatagrams ? nil : $0.socket.buffered.first?.leaves
        }
        return (departures + packets.prefix(1).map(\.due)).filter { $0 > now }.min()
    }

    /// The step of this number, below `workCount`.
    func step(_ number: Int) {
        let departing = bound.filter(canDepart)
        if number < departing.count {
            guard let datagram = departing[number].socket.popBuffered() else { return }
            carry(datagram, from: departing[number])
        } else if !packets.isEmpty {
            arrive(packets.removeFirst())
        }
    }

    private func carry(_ datagram: SimulatedDatagramSocket.Outgoing, from source: BoundSocket) {
        let machine = source.machine
        let target = datagram.target
        let route = network.topology.route(from: machine.address, to: machine.reached(by: target))
        var sender = source.socket.local ?? .any(port: 0)
        if sender.isWildcard {
            sender = .ip(machine.ownAddress(towards: target), port: sender.port ?? 0)
        }
        let isLost = network.chance.happens(route.conditions.loss) && network.deviations.takes()
        guard !route.isCut, !isLost else {
            return network.trace.note("a datagram is lost", datagram.bytes.count)
        }
        let isDoubled = network.chance.happens(route.conditions.duplication) && network.deviations.takes()
        let copies = isDoubled ? 2 : 1
        let leaves = max(now, datagram.leaves)
        for _ in 0..<copies {
            let due = route.arrivalOfDatagram(
                now: leaves, chance: &network.chance, deviations: network.deviations)
            add(
                Packet(
                    content: .datagram(datagram.bytes), sender: sender, target: target, route: route, due: due
                ))
        }
    }

    private func add(_ packet: Packet) {
        let place = packets.firstIndex { $0.due > packet.due } ?? packets.endIndex
        packets.insert(packet, at: place)
    }

    private func arrive(_ packet: Packet) {
        let receiver = receiver(of: packet)
        switch packet.content {
        case .datagram(let bytes):
            guard let receiver else { return bounce(packet) }
            let incoming = SimulatedDatagramSocket.Incoming(bytes: bytes, sender: packet.sender)
            let hasRoom = receiver.arrived(incoming)
            network.trace.note(hasRoom ? "delivered a datagram" : "no room for a datagram", bytes.count)
        case .unreachable:
            // Only who is connected is told, ip(7).
            guard let receiver, receiver.peer == packet.sender else { return }
            network.trace.note("delivered: port unreachable")
            receiver.fail(.connectionRefused)
        }
    }

    /// Nobody has that port: the machine says so, if there is one.
    private func bounce(_ packet: Packet) {
        let route = packet.route
        network.trace.note("nobody receives a datagram")
        guard network.hasMachine(at: route.to) else { return }
        let back = network.topology.route(from: route.to, to: route.from)
        guard !back.isCut else { return }
        add(
            Packet(
                content: .unreachable, sender: packet.target, target: packet.sender, route: back,
                due: back.arrivalOfControl(now: now)))
    }
}
