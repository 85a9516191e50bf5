// Socket calls in memory: socket(7), accept(2), connect(2), recv(2), sendmsg(2), shutdown(2). None of them
// waits, and none moves anything to the other end: see Network/SimulatedNetwork.swift.

import AIOBytes
package import AIOKernel
package import SystemPackage

extension SimulatedKernel {
    // MARK: Setting up

    package func makeStreamSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor {
        try check(SimulatedCall(.socket, peer: endpoint), detail: endpoint.description)
        return try openOrThrow(
            SimulatedStream(
                sendMax: options.sendBufferByteCount, receiveMax: options.receiveBufferByteCount),
            call: "socket")
    }

    package func set(_ option: SocketOption, on socket: borrowing Descriptor) throws(AIOError) {
        if let datagrams = datagramSocket(socket.number) { return set(option, on: datagrams) }
        let stream = try stream(socket.number, for: "setsockopt")
        try check(call(.setOption, on: stream), detail: "\(option)")
        if case .deferAccept(let patience) = option { stream.deferAccept = patience }
        guard case .reusePort(true) = option else { return }
        stream.sharesPort = true
        for index in network.bindings.indices where network.bindings[index].stream === stream {
            network.bindings[index].sharesPort = true
        }
    }

    package func bind(_ socket: borrowing Descriptor, to endpoint: Endpoint) throws(AIOError) {
        try check(SimulatedCall(.bind, local: endpoint), detail: endpoint.description)
        let endpoint = chosen(endpoint)
        if let datagrams = datagramSocket(socket.number) { return try bind(datagrams, to: endpoint) }
        let stream = try stream(socket.number, for: "bind")
        if let path = endpoint.path {
            try makeSocketFile(at: path, for: stream)
            stream.local = endpoint
            return
        }
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

    /// With a port that is free, if none was asked for.
    private func chosen(_ endpoint: Endpoint) -> Endpoint {
        guard endpoint.port == 0 else { return endpoint }
        let port = network.takePort()
        guard let address = endpoint.address else { return .any(port: port) }
        return .ip(address, port: port)
    }

    package func listen(_ socket: borrowing Descriptor, backlog: Int) throws(AIOError) {
        let stream = try stream(socket.number, for: "listen")
        try check(call(.listen, on: stream), detail: "backlog \(backlog)")
        stream.phase = .listening
        stream.backlog = max(1, backlog)
    }

    package func localEndpoint(of socket: borrowing Descriptor) throws(AIOError) -> Endpoint {
        if let datagrams = datagramSocket(socket.number) { return datagrams.local ?? .unnamed }
        let stream = try stream(socket.number, for: "getsockname")
        try check(call(.localEndpoint, on: stream))
        return stream.local ?? .unnamed
    }

    package func peerEndpoint(of socket: borrowing Descriptor) throws(AIOError) -> Endpoint {
        if let datagrams = datagramSocket(socket.number), let peer = datagrams.peer { return peer }
        let stream = try stream(socket.number, for: "getpeername")
        try check(call(.peerEndpoint, on: stream))
        guard let peer = stream.peer else { throw AIOError(errno: .socketNotConnected, call: "getpeername") }
        return peer
    }

    private func stream(_ number: Int32, for call: String) throws(AIOError) -> SimulatedStream {
        guard let stream = file(number, as: SimulatedStream.self, for: call) else {
            throw AIOError(errno: .badFileDescriptor, call: call)
        }
        return stream
    }

    // MARK: Connecting and accepting

    /// Always in progress, and the wire carries the handshake; but a datagram socket only gets its addresses, and a Unix
    /// socket's path is connected at once.
    package func connect(_ socket: borrowing Descriptor, to endpoint: Endpoint) -> CallResult {
        if let datagrams = datagramSocket(socket.number) { return connect(datagrams, to: endpoint) }
        guard let stream = file(socket.number, as: SimulatedStream.self, for: "connect") else {
            return CallResult(.badFileDescriptor)
        }
        // An interrupted connect goes on by itself.
        if case .fail(let errno) = fault(SimulatedCall(.connect, local: stream.local, peer: endpoint)) {
            return CallResult(errno)
        }
        if let path = endpoint.path {
            let result = connect(stream, toSocketAt: path)
            trace.note("connect", Int(socket.number), result.rawValue)
            return result
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
        let call = SimulatedCall(.accept, local: stream.local, peer: first.peer)
        if case .fail(let errno) = fault(call) { return acceptFailure(errno, on: stream) }
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
        if case .fail(let errno) = fault(call(.takeError, on: stream)) { return errno }
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
        var byteCount = min(incoming.arrived.count, span.freeCapacity)
        switch fault(call(.receive, on: stream, byteCount: span.freeCapacity))
            ?? disturbance(of: stream, byteCount: byteCount)
        {
        case nil: break
        case .fail(let errno): return failed(errno, on: stream, edge: .readable)
        case .shorten(let most):
            if most < byteCount { network.owe(.readable, to: stream) }
            byteCount = min(byteCount, max(most, 1))
        }
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
        if !stream.isUnix, let errno = stream.pendingError.take() { return CallResult(errno) }
        guard stream.phase == .connected, !stream.hasEnded, !stream.hasLostPeer,
            let outgoing = stream.outgoing
        else {
            return CallResult(.brokenPipe)
        }
        var room = min(stream.freeSpace, batch.byteCount)
        if room > 1, !stream.writesWhole, let oneIn = options.shortWritesOneIn, chance.isOne(in: oneIn) {
            let short = chance.number(in: 1...room)
            if short < room, network.deviations.takes() { room = short }
        }
        switch fault(call(.send, on: stream, byteCount: batch.byteCount))
            ?? disturbance(of: stream, byteCount: room)
        {
        case nil: break
        case .fail(let errno): return failed(errno, on: stream, edge: .writable)
        case .shorten(let most):
            if most < room { network.owe(.writable, to: stream) }
            room = min(room, max(most, 1))
        }
        if room < batch.byteCount { stream.wantsSpace = true }
        guard room > 0 else { return CallResult(.resourceTemporarilyUnavailable) }
        var taken: [UInt8] = []
        for part in batch.parts where taken.count < room {
            taken.append(copying: part.prefix(room - taken.count))
        }
        network.send(taken, on: outgoing)
        noteActivity()
        return CallResult(rawValue: room)
    }

    /// Linux wakes who polls the socket, with no particular direction (inet_shutdown).
    package func finishWriting(_ socket: borrowing Descriptor) -> CallResult {
        guard let stream = file(socket.number, as: SimulatedStream.self, for: "shutdown") else {
            return CallResult(.badFileDescriptor)
        }
        trace.note("shutdown", Int(socket.number))
        if case .fail(let errno) = fault(call(.finishWriting, on: stream)) { return CallResult(errno) }
        guard stream.phase == .connected, let outgoing = stream.outgoing else {
            return CallResult(.socketNotConnected)
        }
        stream.hasEnded = true
        outgoing.end(now: now)
        noteActivity()
        stream.changed()
        return CallResult(rawValue: 0)
    }

    package func resetOnClose(_ socket: borrowing Descriptor) {
        let stream = file(socket.number, as: SimulatedStream.self, for: "setsockopt")
        // SO_LINGER does nothing to Unix sockets.
        if let stream, !stream.isUnix { stream.resetsOnClose = true }
    }
}
