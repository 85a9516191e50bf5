// Where a socket listens or connects to. People write it as text (Endpoint+Text.swift); the kernel layer
// turns it into a socket address (Linux/SocketAddress.swift) after names have been resolved.

/// An address and port, a host name and port, every interface of this machine, or a Unix domain socket.
///
/// The text form reads back as the same endpoint: `127.0.0.1:80`, `[::1]:80`, `*:80`, `example.org:25`,
/// `unix:/run/x.sock`, and `unix:@name` for a name in the abstract namespace (unix(7)).
public struct Endpoint: Hashable, Sendable {
    package enum Storage: Hashable, Sendable {
        case ip(IPAddress, port: UInt16)
        case host(String, port: UInt16)
        case any(port: UInt16)
        case unix(path: String)
        case abstract(name: String)
    }

    package let storage: Storage

    package init(_ storage: Storage) { self.storage = storage }

    /// One address. Port 0 asks the kernel to choose when listening.
    public static func ip(_ address: IPAddress, port: UInt16) -> Endpoint {
        Endpoint(.ip(address, port: port))
    }

    /// A host that is looked up when it is used. A numeric address is taken as such.
    public static func host(_ name: String, port: UInt16) -> Endpoint {
        if let address = try? IPAddress(parsing: name) { return .ip(address, port: port) }
        return Endpoint(.host(name, port: port))
    }

    /// Every address of this machine, IPv6 and IPv4.
    public static func any(port: UInt16) -> Endpoint { Endpoint(.any(port: port)) }

    /// A Unix domain socket in the file system; the path has at most 107 bytes. A relative path that begins
    /// with `@` becomes `./@…`, since the text `unix:@…` means the abstract namespace.
    public static func unix(_ path: String) -> Endpoint {
        Endpoint(.unix(path: path.utf8.first == UInt8(ascii: "@") ? "./" + path : path))
    }

    /// A Unix domain socket in Linux's abstract namespace: it has no file and vanishes with its last
    /// descriptor. The name has at most 107 bytes.
    public static func abstract(_ name: String) -> Endpoint { Endpoint(.abstract(name: name)) }

    /// What a Unix socket has that was never bound, such as a client's end.
    package static let unnamed = Endpoint(.unix(path: ""))
}

extension Endpoint {
    /// The IP address, if this is one; nil for names, for `any`, and for Unix sockets.
    public var address: IPAddress? {
        if case .ip(let address, _) = storage { address } else { nil }
    }

    /// The host name that remains to be looked up, if this is one.
    public var host: String? {
        if case .host(let name, _) = storage { name } else { nil }
    }

    /// The port; nil for Unix sockets.
    public var port: UInt16? {
        switch storage {
        case .ip(_, let port), .host(_, let port), .any(let port): port
        case .unix, .abstract: nil
        }
    }

    /// The path of a Unix socket in the file system; nil for others, and for a Unix socket without a name.
    public var path: String? {
        if case .unix(let path) = storage, !path.isEmpty { path } else { nil }
    }

    /// The name of a Unix socket in the abstract namespace, without the `@`; nil for others.
    public var abstractName: String? {
        if case .abstract(let name) = storage { name } else { nil }
    }

    /// Whether this is a Unix domain socket.
    public var isUnix: Bool { port == nil }

    /// Whether this is an IP address, or all of them.
    package var isIP: Bool {
        switch storage {
        case .ip, .any: true
        case .host, .unix, .abstract: false
        }
    }

    /// Whether a socket bound here is reached under several addresses.
    package var isWildcard: Bool {
        switch storage {
        case .any: true
        case .ip(let address, _): address.isUnspecified
        case .host, .unix, .abstract: false
        }
    }

    /// What is left to be looked up.
    package var hostAndPort: (host: String, port: UInt16)? {
        if case .host(let host, let port) = storage { (host, port) } else { nil }
    }
}
