// Endpoints as people write them, on command lines and in configuration, and back. Runs once for each
// endpoint, far from any hot path, so it spends its effort on saying what is wrong with the text.

extension Endpoint: CustomStringConvertible {
    /// The text that `init(parsing:)` reads back as the same endpoint. The one exception is a Unix socket
    /// without a name, `unix:`, which nobody can listen on or connect to.
    public var description: String {
        switch storage {
        case .ip(let address, let port): address.family == .v6 ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .host(let name, let port): "\(name):\(port)"
        case .any(let port): "*:\(port)"
        case .unix(let path): "unix:\(path)"
        case .abstract(let name): "unix:@\(name)"
        }
    }
}

extension Endpoint {
    /// The longest path or abstract name: `sun_path` of unix(7) has 108 bytes, one of which is a NUL.
    package static let unixNameByteCountMax = 107

    /// Reads an endpoint from text: `127.0.0.1:80`, `[::1]:80`, `[fe80::1%eth0]:80`, `*:80`, `localhost:80`,
    /// `unix:/run/x.sock`, `unix:@name`.
    ///
    /// Throws `.malformedEndpoint`, whose detail quotes the text and says what was expected. Looks nothing up
    /// except the name of an interface after `%`.
    public init(parsing text: String) throws(AIOError) {
        guard !text.isEmpty else {
            throw Malformed(text).error("is empty", expected: "127.0.0.1:80 or unix:/path")
        }
        guard !text.utf8.contains(0) else { throw Malformed(text).error("contains a NUL byte") }
        if text.utf8.starts(with: "unix:".utf8) {
            try self.init(unix: String(decoding: text.utf8.dropFirst(5), as: UTF8.self), in: Malformed(text))
        } else {
            try self.init(network: text, in: Malformed(text))
        }
    }

    private init(unix name: String, in text: Malformed) throws(AIOError) {
        guard !name.isEmpty else {
            throw text.error("has no path", expected: "unix:/run/x.sock or unix:@name")
        }
        let endpoint: Endpoint =
            name.utf8.first == UInt8(ascii: "@")
            ? .abstract(String(decoding: name.utf8.dropFirst(), as: UTF8.self)) : .unix(name)
        if let problem = endpoint.unixNameProblem { throw text.error(problem) }
        self = endpoint
    }

    /// What makes a Unix endpoint unusable, in words that follow its text; nil for a good one and for other
    /// kinds.
    package var unixNameProblem: String? {
        let (kind, name): (String, String)
        switch storage {
        case .unix(let path): (kind, name) = ("path", path)
        case .abstract(let abstract): (kind, name) = ("abstract name", abstract)
        case .ip, .host, .any: return nil
        }
        if name.isEmpty { return "has an empty \(kind)" }
        if name.utf8.contains(0) { return "has a NUL byte in its \(kind)" }
        guard name.utf8.count <= Self.unixNameByteCountMax else {
            return
                "has \(name.utf8.count) bytes of \(kind), \(Self.unixNameByteCountMax) are the most (unix(7))"
        }
        return nil
    }

    private init(network: String, in text: Malformed) throws(AIOError) {
        guard network.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
            throw text.error("contains white space or a control character")
        }
        guard network.utf8.first != UInt8(ascii: "/") else {
            throw text.error("looks like a path", expected: "unix:\(network)")
        }
        if network.utf8.first == UInt8(ascii: "[") {
            try self.init(bracketed: network, in: text)
            return
        }
        guard let colon = network.utf8.lastIndex(of: UInt8(ascii: ":")) else {
            throw text.error("has no port", expected: "\(network):80")
        }
        let host = String(network[..<colon])
        guard !host.utf8.contains(UInt8(ascii: ":")) else {
            throw text.error("has more than one colon; an IPv6 address needs brackets", expected: "[::1]:80")
        }
        guard !host.isEmpty else {
            throw text.error(
                "has no host", expected: "*\(network) for every interface, or 127.0.0.1\(network)")
        }
        let port = try Self.port(String(network[network.utf8.index(after: colon)...]), in: text)
        if host == "*" {
            self = .any(port: port)
        } else if let problem = Self.hostProblem(host) {
            throw text.error(problem)
        } else {
            self = .host(host, port: port)
        }
    }

    private init(bracketed: String, in text: Malformed) throws(AIOError) {
        guard let close = bracketed.utf8.firstIndex(of: UInt8(ascii: "]")) else {
            throw text.error("has no closing bracket", expected: "[::1]:80")
        }
        let inside = String(bracketed.utf8[..<close].dropFirst()) ?? ""
        let rest = bracketed.utf8[close...].dropFirst()
        guard let address = try? IPAddress(parsing: inside), address.family == .v6 else {
            throw text.error(Self.bracketProblem(inside), expected: "[::1]:80")
        }
        guard !rest.isEmpty else { throw text.error("has no port", expected: "\(bracketed):80") }
        guard rest.first == UInt8(ascii: ":") else {
            throw text.error("goes on after the closing bracket without a colon", expected: "[\(inside)]:80")
        }
        self = .ip(address, port: try Self.port(String(decoding: rest.dropFirst(), as: UTF8.self), in: text))
    }

    private static func bracketProblem(_ inside: String) -> String {
        if inside.isEmpty { return "has nothing between its brackets" }
        do {
            _ = try IPAddress(parsing: inside)
            return "has an IPv4 address in brackets, which are for IPv6"
        } catch {
            return "has no IPv6 address in its brackets: " + (error.detail ?? "")
        }
    }

    private static func port(_ digits: String, in text: Malformed) throws(AIOError) -> UInt16 {
        guard !digits.isEmpty else {
            throw text.error("has nothing after its last colon", expected: "a port")
        }
        guard digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            throw text.error("has a port that is not a number", expected: "0 to 65535")
        }
        guard let port = UInt16(digits) else {
            throw text.error("has a port out of range", expected: "0 to 65535")
        }
        return port
    }
}

extension Endpoint {
    /// What makes `host` unfit to be looked up, in words that follow the quoted text; nil if nothing does.
    /// Letters, digits, `-` and `_` in labels of at most 63 bytes, 253 in all (RFC 1035, RFC 1123 section
    /// 2.1).
    package static func hostProblem(_ host: String) -> String? {
        let name = host.utf8.last == UInt8(ascii: ".") ? host.utf8.dropLast() : host.utf8[...]
        guard !name.isEmpty else { return "has an empty host name" }
        guard name.count <= 253 else { return "has a host name of \(name.count) bytes, 253 are the most" }
        var isNumeric = false
        for label in name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            if let problem = labelProblem(label) { return problem }
            isNumeric = label.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        }
        // No top-level domain is a number; getaddrinfo(3) would read 1.2 as 1.0.0.2.
        guard isNumeric, (try? IPAddress(parsing: host)) == nil else { return nil }
        return "has a host that is neither a name nor an IPv4 address of four numbers from 0 to 255"
    }

    private static func labelProblem(_ label: Substring.UTF8View) -> String? {
        guard !label.isEmpty else { return "has an empty label in its host name" }
        guard label.count <= 63 else { return "has a label of \(label.count) bytes, 63 are the most" }
        for byte in label {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                continue
            case 0x80...:
                return "has a host name that is not ASCII; write it in its xn-- form"
            default:
                return "has " + String(reflecting: String(UnicodeScalar(byte))) + " in its host name"
            }
        }
        guard label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-") else {
            return "has a label that begins or ends with a hyphen"
        }
        return nil
    }
}

/// The text an error quotes, and how it says what is wrong with it.
private struct Malformed {
    private static let quotedByteCountMax = 200
    private let quoted: String

    init(_ text: String) {
        let start = text.utf8.count <= Self.quotedByteCountMax ? text : String(text.prefix(120)) + "…"
        quoted = String(reflecting: start)
    }

    func error(_ problem: String, expected: String? = nil) -> AIOError {
        let hint = expected.map { "; expected \($0)" } ?? ""
        return AIOError(.malformedEndpoint, detail: "\(quoted) \(problem)\(hint)")
    }
}
