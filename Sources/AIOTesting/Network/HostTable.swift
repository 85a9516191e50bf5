// What getaddrinfo(3) answers in a simulated world: part of the network, so that all machines know the same names.

public import AIOKernel

/// Names and their addresses. `localhost` is known from the start, and a numeric address is one; other names are not
/// found until a test says what they are.
///
/// Sendable, unchecked: a simulation and all its parts are used by one thread at a time.
public final class HostTable: @unchecked Sendable {
    private enum Entry {
        case addresses([IPAddress])
        case failure(AIOError.Code)
    }

    private var entries: [(name: String, entry: Entry)] = [("localhost", .addresses([.loopbackV4]))]
    /// How long looking up takes, any name; drawn for each time.
    public var delay: ClosedRange<Duration> = .zero ... .zero

    init() {}

    /// Makes a name known, in any case of letters, or known anew.
    /// - Parameter addresses: in the order in which they are to be tried; at least one.
    public func set(_ name: String, to addresses: [IPAddress]) {
        precondition(!addresses.isEmpty, "a host has an address")
        set(name, .addresses(addresses))
    }

    /// Looking this name up fails.
    public func set(_ name: String, failingWith code: AIOError.Code) { set(name, .failure(code)) }

    private func set(_ name: String, _ entry: Entry) {
        let name = name.lowercased()
        entries.removeAll { $0.name == name }
        entries.append((name, entry))
    }

    func addresses(of host: String) throws(AIOError) -> [IPAddress] {
        if let address = try? IPAddress(parsing: host) { return [address] }
        if let problem = Endpoint.hostProblem(host) {
            throw AIOError(.malformedEndpoint, detail: "\(String(reflecting: host)) \(problem)")
        }
        let name = host.lowercased()
        switch entries.first(where: { $0.name == name })?.entry {
        case .addresses(let addresses): return addresses
        case .failure(let code): throw AIOError(code, call: "getaddrinfo", detail: host)
        case nil: throw AIOError(.hostNotFound, call: "getaddrinfo", detail: "\(host): not in the host table")
        }
    }
}
