// Sockets before and beside the bytes: making, binding, listening, connecting, options and addresses. Called
// when a listener opens and when a connection begins; errors name the call and the endpoint.

internal import CAIOLinux
internal import Glibc
package import SystemPackage

extension LinuxKernel {
    /// `any` gets an IPv6 socket that takes IPv4 too; an IPv4 socket on a machine without IPv6. An IPv6
    /// address gets a socket for IPv6 only, whatever net.ipv6.bindv6only says, so `[::]:80` and `0.0.0.0:80`
    /// can both be bound.
    package func makeStreamSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor {
        let family = try SocketAddress.family(of: endpoint)
        let answer = caio_stream_socket(family)
        if case .any = endpoint.storage, CallResult(rawValue: answer).errno == .addressFamilyNotSupported {
            return try descriptor(caio_stream_socket(AF_INET), call: "socket", detail: endpoint.description)
        }
        let socket = try descriptor(answer, call: "socket", detail: endpoint.description)
        if family == AF_INET6 {
            if case .any = endpoint.storage {
                try set(.ipv6Only(false), on: socket)
            } else {
                try set(.ipv6Only(true), on: socket)
            }
        }
        return socket
    }

    package func set(_ option: SocketOption, on socket: borrowing Descriptor) throws(AIOError) {
        let (level, name, value) = option.socketLevel
        try check(
            caio_set_option(socket.number, level, name, value), call: "setsockopt", detail: "\(option)")
    }

    package func bind(_ socket: borrowing Descriptor, to endpoint: Endpoint) throws(AIOError) {
        let address = try address(of: endpoint, for: socket)
        let number = socket.number
        // SAFETY: the call reads the bytes it is given the count of.
        let answer = unsafe address.withBytes { unsafe caio_bind(number, $0, $1) }
        try check(answer, call: "bind", detail: endpoint.description)
    }

    /// What `any` is depends on the family that its socket got; every other endpoint knows its own.
    private func address(
        of endpoint: Endpoint, for socket: borrowing Descriptor
    ) throws(AIOError) -> SocketAddress {
        guard case .any = endpoint.storage else {
            return try SocketAddress(endpoint, family: SocketAddress.family(of: endpoint))
        }
        let family = CInt(truncatingIfNeeded: caio_option(socket.number, SOL_SOCKET, SO_DOMAIN))
        return try SocketAddress(endpoint, family: family)
    }

    package func listen(_ socket: borrowing Descriptor, backlog: Int) throws(AIOError) {
        try check(
            caio_listen(socket.number, Int32(clamping: backlog)), call: "listen", detail: "backlog \(backlog)"
        )
    }

    /// An interrupted connect goes on by itself (connect(2)): it is reported as in progress. An endpoint that
    /// is not an address is EINVAL. A Unix listener whose backlog is full is EAGAIN, and nothing is in
    /// progress then.
    package func connect(_ socket: borrowing Descriptor, to endpoint: Endpoint) -> CallResult {
        guard let address = try? address(of: endpoint, for: socket) else {
            return CallResult(.invalidArgument)
        }
        let number = socket.number
        // SAFETY: the call reads the bytes it is given the count of.
        let result = CallResult(rawValue: unsafe address.withBytes { unsafe caio_connect(number, $0, $1) })
        return result.wasInterrupted ? CallResult(.nowInProgress) : result
    }

    package func takeError(of socket: borrowing Descriptor) -> Errno? {
        let answer = caio_option(socket.number, SOL_SOCKET, SO_ERROR)
        return answer == 0 ? nil : Errno(rawValue: CInt(truncatingIfNeeded: answer.magnitude))
    }

    /// A listener on every interface is `*:port` again, so that a sibling can be bound to the same.
    package func localEndpoint(of socket: borrowing Descriptor) throws(AIOError) -> Endpoint {
        let number = socket.number
        // SAFETY: the call writes at most as many bytes as it is told there is room for.
        let (address, result) = unsafe SocketAddress.filled {
            CallResult(rawValue: unsafe caio_local_address(number, $0, &$1))
        }
        let endpoint = try endpoint(address, result, call: "getsockname")
        guard endpoint.address == .unspecifiedV6, let port = endpoint.port,
            caio_option(number, CInt(IPPROTO_IPV6), IPV6_V6ONLY) == 0
        else { return endpoint }
        return .any(port: port)
    }

    package func peerEndpoint(of socket: borrowing Descriptor) throws(AIOError) -> Endpoint {
        let number = socket.number
        // SAFETY: the call writes at most as many bytes as it is told there is room for.
        let (address, result) = unsafe SocketAddress.filled {
            CallResult(rawValue: unsafe caio_peer_address(number, $0, &$1))
        }
        return try endpoint(address, result, call: "getpeername")
    }

    private func endpoint(
        _ address: SocketAddress, _ result: CallResult, call: String
    ) throws(AIOError) -> Endpoint {
        try check(result.rawValue, call: call)
        guard let endpoint = address.endpoint else {
            throw AIOError(.unsupported, call: call, detail: "neither an IP nor a Unix socket")
        }
        return endpoint
    }

    package func resetOnClose(_ socket: borrowing Descriptor) {
        // It fails only for what is no socket; then there is nothing to reset.
        _ = caio_set_reset_on_close(socket.number)
    }
}

extension SocketOption {
    fileprivate var socketLevel: (level: CInt, name: CInt, value: CInt) {
        switch self {
        case .reuseAddress(let isOn): (SOL_SOCKET, SO_REUSEADDR, isOn ? 1 : 0)
        case .reusePort(let isOn): (SOL_SOCKET, SO_REUSEPORT, isOn ? 1 : 0)
        case .noDelay(let isOn): (CInt(IPPROTO_TCP), TCP_NODELAY, isOn ? 1 : 0)
        case .deferAccept(let patience):
            (CInt(IPPROTO_TCP), TCP_DEFER_ACCEPT, CInt(clamping: patience.components.seconds))
        case .ipv6Only(let isOn): (CInt(IPPROTO_IPV6), IPV6_V6ONLY, isOn ? 1 : 0)
        case .keepAlive(let isOn): (SOL_SOCKET, SO_KEEPALIVE, isOn ? 1 : 0)
        case .sendBufferByteCount(let count): (SOL_SOCKET, SO_SNDBUF, CInt(clamping: count))
        case .receiveBufferByteCount(let count): (SOL_SOCKET, SO_RCVBUF, CInt(clamping: count))
        }
    }
}
