// From an endpoint to a datagram socket in a worker's care, with the errors a person needs. Called by AIO's
// `bind(udp:)` and `connect(udp:)` with addresses that are resolved.

package import AIOKernel

extension Engine {
    /// Opens a socket that is bound to an address.
    package func bindDatagrams(
        to endpoint: Endpoint, options: DatagramOptions
    ) throws(AIOError) -> DatagramCore {
        try options.validate()
        let socket = try makeDatagramSocket(for: endpoint, options)
        try kernel.bind(socket, to: endpoint)
        return try take(socket, peer: nil, options)
    }

    /// Opens a socket that is connected to the first of `addresses` which can be reached from here.
    package func connectDatagrams(
        to addresses: [Endpoint], options: DatagramOptions
    ) throws(AIOError) -> DatagramCore {
        try options.validate()
        var lastError = AIOError(.hostNotFound, call: "connect")
        for address in addresses {
            guard address.address != nil, address.port != 0 else {
                throw AIOError(
                    .invalidArgument, call: "connect", detail: "\(address) is not the address of one peer")
            }
            let socket = try makeDatagramSocket(for: address, options)
            guard let errno = kernel.connect(socket, to: address).errno else {
                return try take(socket, peer: address, options)
            }
            lastError = AIOError(errno: errno, call: "connect", detail: address.description)
        }
        throw lastError
    }

    private func makeDatagramSocket(
        for endpoint: Endpoint, _ options: DatagramOptions
    ) throws(AIOError) -> Descriptor {
        let socket = try kernel.makeDatagramSocket(for: endpoint)
        try kernel.set(.countsDrops(true), on: socket)
        // Linux would otherwise deliver every group that any process has joined to a socket bound to all
        // addresses. Kernels that cannot be told are left as they are.
        do { try kernel.set(.allGroups(false), on: socket) } catch {}
        if options.reusesAddress { try kernel.set(SocketOption.reuseAddress(true), on: socket) }
        if options.allowsBroadcast { try kernel.set(DatagramSocketOption.broadcast(true), on: socket) }
        if let byteCount = options.receiveBufferByteCount {
            try kernel.set(SocketOption.receiveBufferByteCount(byteCount), on: socket)
        }
        if let byteCount = options.sendBufferByteCount {
            try kernel.set(SocketOption.sendBufferByteCount(byteCount), on: socket)
        }
        if let isOn = options.multicastLoopback {
            try kernel.set(DatagramSocketOption.multicastLoopback(isOn), on: socket)
        }
        if let hops = options.multicastHops { try kernel.set(.multicastHops(hops), on: socket) }
        if let name = options.multicastInterface {
            let index = try kernel.interfaceIndex(named: name)
            try kernel.set(.multicastInterface(index), on: socket)
        }
        return socket
    }

    /// Hands a socket to a worker; they go round.
    private func take(
        _ socket: consuming Descriptor, peer: Endpoint?, _ options: DatagramOptions
    ) throws(AIOError) -> DatagramCore {
        let endpoint = try kernel.localEndpoint(of: socket)
        let turn = Int(truncatingIfNeeded: accounts.makeID() % UInt64(workers.count))
        let core = DatagramCore(
            SharedDescriptor(socket), endpoint: endpoint, peer: peer, options: options, worker: workers[turn])
        try whileRunning { core.start() }
        return core
    }
}
