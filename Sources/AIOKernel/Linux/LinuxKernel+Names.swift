// getaddrinfo(3): host names to endpoints. The one call that blocks for as long as a name server likes, hence
// only ever made on an offload thread.

internal import CAIOLinux
internal import Glibc
internal import SystemPackage

extension LinuxKernel {
    /// In the order of RFC 6724, which getaddrinfo applies: unreachable families last. `AI_ADDRCONFIG` is not
    /// set, because on a machine with nothing but its loopback interface it hides addresses that work there.
    package func resolve(host: String, port: UInt16) throws(AIOError) -> [Endpoint] {
        if let address = try? IPAddress(parsing: host) { return [.ip(address, port: port)] }
        if let problem = Endpoint.hostProblem(host) {
            throw AIOError(.malformedEndpoint, detail: "\(String(reflecting: host)) \(problem)")
        }
        var list: UnsafeMutableRawPointer? = nil
        var error: CInt = 0
        // SAFETY: `host` is a NUL-terminated copy and has no NUL inside (`hostProblem`); `list` is set on
        // success.
        let failure = CInt(truncatingIfNeeded: unsafe caio_lookup(host, &list, &error))
        guard failure == 0 else { throw Self.error(ofLookup: failure, errno: error, host: host) }
        defer { unsafe caio_lookup_free(list) }

        var endpoints: [Endpoint] = []
        var next = UnsafeRawPointer(list)
        // SAFETY: the list and the addresses it points to live until it is freed above.
        while let entry = unsafe next {
            var byteCount: UInt32 = 0
            let bytes = unsafe caio_lookup_address(entry, &byteCount)
            let address = unsafe UnsafeRawBufferPointer(start: bytes, count: Int(byteCount))
            if let address = unsafe SocketAddress(copying: address.bytes).endpoint?.address {
                let endpoint = Endpoint.ip(address, port: port)
                if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
            }
            unsafe next = caio_lookup_next(entry)
        }
        guard !endpoints.isEmpty else {
            throw AIOError(.hostNotFound, call: "getaddrinfo", detail: "\(host): no IPv4 or IPv6 address")
        }
        return endpoints
    }

    private static func error(ofLookup failure: CInt, errno: CInt, host: String) -> AIOError {
        if failure == EAI_SYSTEM {
            return AIOError(
                .nameResolutionFailed, errno: Errno(rawValue: errno), call: "getaddrinfo", detail: host)
        }
        // SAFETY: gai_strerror answers with a constant string for every number.
        let text = unsafe String(cString: gai_strerror(failure))
        let code: AIOError.Code =
            switch failure {
            case EAI_NONAME, lookupNoData, lookupNoFamily: .hostNotFound
            case EAI_MEMORY: .outOfMemory
            default: .nameResolutionFailed
            }
        return AIOError(code, call: "getaddrinfo", detail: "\(host): \(text)")
    }

    // EAI_NODATA and EAI_ADDRFAMILY, the GNU extensions of netdb.h: the name exists, an address does not.
    private static let lookupNoData: CInt = -5
    private static let lookupNoFamily: CInt = -9
}
