// Datagram calls in memory: recvmmsg(2), sendmmsg(2), and what bind(2) and connect(2) do to a UDP socket. They reach as
// far as the socket's buffers; see Network/DatagramWire.swift for the rest.

import AIOBytes
package import AIOKernel
import SystemPackage

extension SimulatedKernel {
    package func makeDatagramSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor {
        try check(SimulatedCall(.socket, peer: endpoint), detail: endpoint.description)
        return try openOrThrow(
            SimulatedDatagramSocket(
                bufferMax: options.sendBufferDatagramsMax, inboxByteCountMax: options.receiveBufferByteCount,
                holdsDatagrams: options.holdsDatagrams),
            call: "socket")
    }

    package func set(_ option: DatagramSocketOption, on socket: borrowing Descriptor) throws(AIOError) {
        guard let datagrams = datagramSocket(socket.number) else {
            return trace.violation("setsockopt of \(socket.number), which is no datagram socket")
        }
        try check(SimulatedCall(.setOption, local: datagrams.local), detail: "\(option)")
        if case .countsDrops(let isOn) = option { datagrams.countsDrops = isOn }
    }

    func set(_ option: SocketOption, on datagrams: SimulatedDatagramSocket) {
        switch option {
        case .reuseAddress(true), .reusePort(true): datagrams.sharesAddress = true
        case .receiveBufferByteCount(let byteCount): datagrams.inboxByteCountMax = byteCount
        default: break
        }
    }

    /// Those that are open, in the order of their numbers.
    var datagramSockets: [SimulatedDatagramSocket] { table.compactMap { $0 as? SimulatedDatagramSocket } }

    /// nil for a stream socket, of which calls that know both ask then.
    func datagramSocket(_ number: Int32) -> SimulatedDatagramSocket? {
        table.indices.contains(Int(number)) ? table[Int(number)] as? SimulatedDatagramSocket : nil
    }

    // MARK: Addresses

    func bind(_ datagrams: SimulatedDatagramSocket, to endpoint: Endpoint) throws(AIOError) {
        guard network.datagrams.bind(datagrams, to: endpoint, on: self) else {
            throw AIOError(errno: .addressInUse, call: "bind", detail: endpoint.description)
        }
    }

    func connect(_ datagrams: SimulatedDatagramSocket, to endpoint: Endpoint) -> CallResult {
        if case .fail(let errno) = fault(SimulatedCall(.connect, local: datagrams.local, peer: endpoint)) {
            return CallResult(errno)
        }
        datagrams.peer = endpoint
        if datagrams.local == nil {
            let local = Endpoint.ip(ownAddress(towards: endpoint), port: network.takePort())
            _ = network.datagrams.bind(datagrams, to: local, on: self)
        }
        return CallResult(rawValue: 0)
    }

    /// The address that what is sent to `target` comes from, if the socket says nothing else.
    func ownAddress(towards target: Endpoint) -> IPAddress {
        guard let far = target.address, far.isLoopback else { return address }
        return far
    }

    // MARK: Sending

    package func sendDatagrams(_ batch: OutboundDatagrams, to socket: borrowing Descriptor) -> CallResult {
        let number = socket.number
        guard let file = file(number, as: SimulatedDatagramSocket.self, for: "sendmmsg") else {
            return CallResult(.badFileDescriptor)
        }
        preempt()
        let result = send(batch, from: file)
        trace.note("sendmmsg of \(batch.count)", Int(number), result.rawValue)
        if result.count > 0 { noteActivity() }
        preempt()
        return result
    }

    /// An error is reported if it is about the first; else it says how many there were before it, and what had been
    /// reported to the socket is forgotten.
    private func send(_ batch: OutboundDatagrams, from file: SimulatedDatagramSocket) -> CallResult {
        var most = batch.count
        switch fault(
            SimulatedCall(.sendDatagrams, local: file.local, peer: file.peer, byteCount: batch.count))
        {
        case nil: break
        case .fail(let errno): return failed(errno, on: file, edge: .writable)
        case .shorten(let count):
            if count < most { network.owe(.writable, to: file) }
            most = min(most, max(count, 1))
        }
        for index in 0..<most {
            guard let errno = send(batch.payloads[index], to: batch.target(at: index), from: file) else {
                continue
            }
            if index > 0 { return CallResult(rawValue: index) }
            if errno == .resourceTemporarilyUnavailable { file.noteRefusal() }
            return CallResult(errno)
        }
        return CallResult(rawValue: most)
    }

    /// udp_sendmsg: nil if the socket has taken it.
    private func send(_ bytes: Bytes, to target: Endpoint?, from file: SimulatedDatagramSocket) -> Errno? {
        if let errno = file.pendingError.take() { return errno }
        guard let target = target ?? file.peer else { return .addressRequired }
        if file.local == nil {
            _ = network.datagrams.bind(file, to: .any(port: network.takePort()), on: self)
        }
        let route = network.topology.route(from: address, to: reached(by: target))
        // RFC 768 in RFC 791: 65,535 bytes with an IP header of 20 and a UDP header of 8. In RFC 8200 the payload
        // of the packet is what is counted.
        let byteCountMax = target.address?.unmapped.family == .v6 ? 65_527 : 65_507
        guard bytes.count <= min(byteCountMax, route.conditions.datagramByteCountMax ?? .max) else {
            return .messageTooLong
        }
        guard file.buffered.count < file.bufferMax else { return .resourceTemporarilyUnavailable }
        let leaves = file.holdsDatagrams ? now : route.leave(bytes.count, now: now)
        _ = file.take(SimulatedDatagramSocket.Outgoing(bytes: bytes, target: target, leaves: leaves))
        return nil
    }

    // MARK: Receiving

    package func receiveDatagrams(
        from socket: borrowing Descriptor, into batch: InboundDatagrams, atMost byteCountMax: Int
    ) -> CallResult {
        let number = socket.number
        guard let file = file(number, as: SimulatedDatagramSocket.self, for: "recvmmsg") else {
            return CallResult(.badFileDescriptor)
        }
        batch.removeAll()
        if file.holdsDatagrams { return CallResult(.resourceTemporarilyUnavailable) }
        preempt()
        let result = receive(from: file, into: batch, atMost: byteCountMax)
        trace.note("recvmmsg", Int(number), result.rawValue)
        preempt()
        return result
    }

    private func receive(
        from file: SimulatedDatagramSocket, into batch: InboundDatagrams, atMost byteCountMax: Int
    ) -> CallResult {
        if let errno = file.pendingError.take() { return CallResult(errno) }
        var most = min(InboundDatagrams.countMax, file.inbox.count)
        switch fault(
            SimulatedCall(.receiveDatagrams, local: file.local, peer: file.peer, byteCount: most))
        {
        case nil: break
        case .fail(let errno): return failed(errno, on: file, edge: .readable)
        case .shorten(let count):
            if count < most { network.owe(.readable, to: file) }
            most = min(most, max(count, 1))
        }
        guard most > 0 else { return CallResult(.resourceTemporarilyUnavailable) }
        for _ in 0..<most {
            guard let datagram = file.popInbox() else { break }
            do throws(AIOError) {
                try batch.append(datagram.bytes, from: datagram.sender, atMost: byteCountMax)
            } catch {
                trace.violation("a datagram came from \(datagram.sender): \(error)")
            }
        }
        if file.countsDrops { batch.note(kernelDropCount: file.dropCount) }
        noteActivity()
        return CallResult(rawValue: batch.count)
    }
}
