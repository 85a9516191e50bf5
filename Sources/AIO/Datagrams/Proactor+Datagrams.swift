// `aio.bind(udp:)` and `aio.connect(udp:)`: from an endpoint, which may be a name, to a UDP socket.

public import AIOKernel
public import AIOWorkers

extension Proactor {
    /// Opens a UDP socket on an address. Port 0 lets the kernel choose one; `*` takes IPv6 and IPv4.
    ///
    /// Suspends only to resolve a name, off the workers; its first address is used. Cancelling does not
    /// shorten that.
    /// - Throws: `.addressInUse`, `.addressNotAvailable`, `.permissionDenied`, `.hostNotFound`,
    ///   `.invalidArgument` for options that make no sense, `.unsupported` for a Unix socket,
    ///   `.descriptorLimit`, `.shutDown`.
    public func bind(
        udp endpoint: Endpoint, options: DatagramOptions = DatagramOptions()
    ) async throws(AIOError) -> DatagramSocket {
        guard let address = try await addresses(of: endpoint).first else {
            throw AIOError(.hostNotFound, detail: endpoint.description)
        }
        return DatagramSocket(try engine.bindDatagrams(to: address, options: options))
    }

    /// Opens a UDP socket on an address in text, as in `"127.0.0.1:0"`, `"[::1]:53"` or `"*:53"`.
    public func bind(
        udp endpoint: String, options: DatagramOptions = DatagramOptions()
    ) async throws(AIOError) -> DatagramSocket {
        try await bind(udp: Endpoint(parsing: endpoint), options: options)
    }

    /// Opens a UDP socket that talks to one peer: only that one's datagrams arrive, `send(_:)` needs no
    /// address, and errors that come back (a port where nobody listens, a host that cannot be reached) are
    /// thrown by the next receive or send. Nothing is sent by connecting.
    ///
    /// Of a name's addresses, the first that this machine has a route to is used.
    /// - Throws: as `bind(udp:)`; `.unreachable` if there is no route.
    public func connect(
        udp endpoint: Endpoint, options: DatagramOptions = DatagramOptions()
    ) async throws(AIOError) -> DatagramSocket {
        let addresses = try await addresses(of: endpoint)
        return DatagramSocket(try engine.connectDatagrams(to: addresses, options: options))
    }

    /// Opens a UDP socket that talks to one peer, given in text, as in `"127.0.0.1:53"`.
    public func connect(
        udp endpoint: String, options: DatagramOptions = DatagramOptions()
    ) async throws(AIOError) -> DatagramSocket {
        try await connect(udp: Endpoint(parsing: endpoint), options: options)
    }

    private func addresses(of endpoint: Endpoint) async throws(AIOError) -> [Endpoint] {
        let engine = engine
        let result = await withCheckedContinuation { continuation in
            engine.resolve(endpoint) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }
}
