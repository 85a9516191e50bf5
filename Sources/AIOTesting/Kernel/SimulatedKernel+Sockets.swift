// Socket calls in memory: socket(7), accept(2), connect(2), recv(2), sendmsg(2), shutdown(2). None of them
// waits, and none moves anything to the other end: see Network/SimulatedNetwork.swift.

import AIOBytes
package import AIOKernel
package import SystemPackage

extension SimulatedKernel {
    // MARK: Setting up

    package func makeStreamSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor {
        try openOrThrow(
            SimulatedStream(
                sendMax: options.sendBufferByteCount, receiveMax: options.receiveBufferByteCount),
            call: "socket")
    }

    package func set(_ option: SocketOption, on socket: borrowing Descriptor) throws(AIOError) {
        let stream = try stream(socket.number, for: "setsockopt")
        guard case .reusePort(true) = option else { return }
        stream.sharesPort = true
        for index in network.bindings.indices where network.bindings[index].stream === stream {
            network.bindings[index].sharesPort = true
        }
    }

    package func bind(_ socket: borrowing Descriptor, to endpoint: Endpoint) throws(AIOError) {
        var endpoint = endpoint
        if endpoint.port == 0, let address = endpoint.address {
            endpoint = .ip(address, port: network.takePort())
        }
        if let datagrams = datagramSocket(socket.number) { return datagrams.local = endpoint }
        let stream = try stream(socket.number, for: "bind")
        for binding in network.bindings
        where binding.endpoint == endpoint && binding.machine === self
            && !(binding.sharesPort && stream.sharesPort)
        {
            throw AIOError(errno: .addressInUse, call: "bind", detail: endpoint.description)
        }
        stream.local = endpoint
        network.bindings.append(
            SocketBinding(endpoint: endpoint, stream: stream, machine: self, sharesPort: stream.sharesPort))
    }

    package func listen(_ socket: borrowing Descriptor, backlog: Int) throws(AIOError) {
        let stream = try stream(socket.number, for: "listen")
        stream.phase = .listening
        stream.backlog = max(1, backlog)
    }

    package func localEndpoint(of socket: borrowing Descriptor) throws(AIOError) -> Endpoint {
        if let datagrams = datagramSocket(socket.number) { return datagrams.local ?? .unnamed }
        return try stream(socket.number, for: "getsockname").local ?? .unnamed
    }

    package func peerEndpoint(of socket: borrowing Descriptor) throws(AIOError) -> Endpoint {
        let peer = try stream(socket.number, for: "getpeername").peer
        guard let peer else { throw AIOError(errno: .socketNotConnected, call: "getpeername") }
        return peer
    }

    private func stream(_ number: Int32, for call: String) throws(AIOError) -> SimulatedStream {
        guard let stream = file(number, as: SimulatedStream.self, for: call) else {
            throw AIOError(errno: .badFileDescriptor, call: call)
        }
        return stream
    }

    // MARK: Connecting and accepting

    /// Always in progress, and the wire carries the handshake; but a datagram socket only gets its addresses.
    package func connect(_ socket: borrowing Descriptor, to endpoint: Endpoint) -> CallResult {
        if let datagrams = datagramSocket(socket.number) {
            datagrams.local = .ip(.loopbackV4, port: network.takePort())
            return CallResult(rawValue: 0)
        }
        guard let stream = file(socket.number, as: SimulatedStream.self, for: "connect") else {
            return CallResult(.badFileDescriptor)
        }
        stream.phase = .connecting
        stream.peer = endpoint
        if stream.local == nil {
            let isFar = endpoint.address.map { !$0.isLoopback } ?? false
            let own: IPAddress = isFar ? address : .loopbackV4
            stream.local = endpoint.isIP ? .ip(own, port: network.takePort()) : .unnamed
        }
        trace.note("connect", Int(socket.number))
        network.begin(stream, to: endpoint, from: self)
        return CallResult(.nowInProgress)
    }

    package func accept(from listener: borrowing Descriptor) -> AcceptResult {
        guard let stream = file(listener.number, as: SimulatedStream.self, for: "accept") else {
            return .failed(.badFileDescriptor)
        }
        guard let first = stream.waiting.first else {
            trace.note("accept: none", Int(listener.number))
            return .wouldBlock
        }
        guard let accepted = open(first) else {
            trace.note("accept: the table is full", Int(listener.number))
            return .exhausted(.tooManyOpenFiles)
        }
        stream.waiting.removeFirst()
        trace.note("accept", Int(listener.number), Int(accepted.number))
        noteActivity()
        return .accepted(accepted, peer: first.peer ?? .unnamed)
    }

    package func takeError(of socket: borrowing Descriptor) -> Errno? {
        guard let stream = file(socket.number, as: SimulatedStream.self, for: "getsockopt") else {
            return .badFileDescriptor
        }
        return stream.pendingError.take()
    }

    // MARK: Reading and writing

    /// All that has arrived, as far as it fits: the engine may conclude from a short read that there is no
    /// more.
    package func receive(from socket: borrowing Descriptor, into span: inout OutputRawSpan) -> CallResult {
        let number = socket.number
        guard let stream = file(number, as: SimulatedStream.self, for: "recv") else {
            return CallResult(.badFileDescriptor)
        }
        preempt()
        let result = receive(from: stream, into: &span)
        trace.note("recv", Int(number), result.rawValue)
        preempt()
        return result
    }

    private func receive(from stream: SimulatedStream, into span: inout OutputRawSpan) -> CallResult {
        guard let incoming = stream.incoming else {
            return CallResult(stream.pendingError.take() ?? .socketNotConnected)
        }
        let byteCount = min(incoming.arrived.count, span.freeCapacity)
        if byteCount > 0 {
            span.append(copying: Bytes(Array(incoming.arrived.prefix(byteCount))))
            incoming.arrived.removeFirst(byteCount)
            noteActivity()
            return CallResult(rawValue: byteCount)
        }
        if let errno = stream.pendingError.take() { return CallResult(errno) }
        if incoming.endArrived || stream.phase == .dead { return CallResult(rawValue: 0) }
        return CallResult(.resourceTemporarilyUnavailable)
    }

    /// What fits, or less: whoever wrote less than it wanted waits for the edge.
    package func send(_ batch: WriteBatch, to socket: borrowing Descriptor) -> CallResult {
        let number = socket.number
        guard let stream = file(number, as: SimulatedStream.self, for: "sendmsg") else {
            return CallResult(.badFileDescriptor)
        }
        preempt()
        let result = send(batch, to: stream)
        trace.note("sendmsg of \(batch.byteCount)", Int(number), result.rawValue)
        preempt()
        return result
    }

    private func send(_ batch: WriteBatch, to stream: SimulatedStream) -> CallResult {
        if let errno = stream.pendingError.take() { return CallResult(errno) }
        guard stream.phase == .connected, !stream.hasEnded, let outgoing = stream.outgoing else {
            return CallResult(.brokenPipe)
        }
        var room = min(stream.freeSpace, batch.byteCount)
        if room > 1, let oneIn = options.shortWritesOneIn, chance.isOne(in: oneIn) {
            room = chance.number(in: 1...room)
        }
        if room < batch.byteCount { stream.wantsSpace = true }
        guard room > 0 else { return CallResult(.resourceTemporarilyUnavailable) }
        var taken: [UInt8] = []
        for part in batch.parts where taken.count < room { taken += part.prefix(room - taken.count) }
        outgoing.send(taken, due: network.dueTime())
        noteActivity()
        return CallResult(rawValue: room)
    }

    /// Linux wakes who polls the socket, with no particular direction (inet_shutdown).
    package func finishWriting(_ socket: borrowing Descriptor) -> CallResult {
        guard let stream = file(socket.number, as: SimulatedStream.self, for: "shutdown") else {
            return CallResult(.badFileDescriptor)
        }
        trace.note("shutdown", Int(socket.number))
        guard stream.phase == .connected, let outgoing = stream.outgoing else {
            return CallResult(.socketNotConnected)
        }
        stream.hasEnded = true
        outgoing.hasEnd = true
        noteActivity()
        stream.changed()
        return CallResult(rawValue: 0)
    }

    package func resetOnClose(_ socket: borrowing Descriptor) {
        file(socket.number, as: SimulatedStream.self, for: "setsockopt")?.resetsOnClose = true
    }
}
