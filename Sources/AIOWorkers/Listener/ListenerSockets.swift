// From an endpoint to listening sockets, one a worker where the kernel can share a port, with the errors a
// person needs. Called by Engine.listen, before any worker knows of it.

import AIOKernel

/// Sockets that are bound and listening, not yet with a worker.
struct ListenerSockets {
    /// Where they listen; port 0 has become a real one.
    let endpoint: Endpoint
    /// The file of a Unix socket that is ours to remove at the end.
    let ownedFile: (path: String, identity: FileIdentity)?
    private let boxes: [Box]

    private final class Box {
        var descriptor: Descriptor?
        init(_ descriptor: consuming Descriptor) { self.descriptor = consume descriptor }
    }

    var count: Int { boxes.count }

    /// Gives the descriptor at `index` away; once.
    func take(at index: Int) -> Descriptor { boxes[index].descriptor.take()! }

    /// Opens up to `count` sockets on an IP endpoint, one on a Unix one.
    ///
    /// The first socket binds without `SO_REUSEPORT`, so that a port in use is seen; then it gets the option,
    /// and its siblings bind beside it (socket(7)).
    ///
    /// - Parameter deferAccept: `TCP_DEFER_ACCEPT`; not for Unix sockets.
    static func open(
        on endpoint: Endpoint, count: Int, backlog: Int, deferAccept: Duration?, kernel: any Kernel
    ) throws(AIOError) -> ListenerSockets {
        if let path = endpoint.path { return try openUnix(path, endpoint, backlog: backlog, kernel: kernel) }
        let first = try kernel.makeStreamSocket(for: endpoint)
        var boxes: [Box] = []
        if endpoint.isIP {
            try kernel.set(.reuseAddress(true), on: first)
            try set(deferAccept, on: first, kernel)
        }
        try kernel.bind(first, to: endpoint)
        let bound = endpoint.isIP ? try kernel.localEndpoint(of: first) : endpoint
        // The port of the first, the wildcard of what was asked for: a dual-stack sibling must be dual-stack
        // too.
        let shown = endpoint.isWildcard ? Endpoint.any(port: bound.port ?? 0) : bound
        if endpoint.isIP, count > 1 {
            try kernel.set(.reusePort(true), on: first)
            for _ in 1..<count {
                let sibling = try kernel.makeStreamSocket(for: shown)
                try kernel.set(.reuseAddress(true), on: sibling)
                try kernel.set(.reusePort(true), on: sibling)
                try set(deferAccept, on: sibling, kernel)
                try kernel.bind(sibling, to: shown)
                try kernel.listen(sibling, backlog: backlog)
                boxes.append(Box(sibling))
            }
        }
        try kernel.listen(first, backlog: backlog)
        boxes.insert(Box(first), at: 0)
        return ListenerSockets(endpoint: shown, ownedFile: nil, boxes: boxes)
    }

    /// What accepted sockets inherit, and what holds them back.
    private static func set(
        _ deferAccept: Duration?, on socket: borrowing Descriptor, _ kernel: any Kernel
    ) throws(AIOError) {
        try kernel.set(.noDelay(true), on: socket)
        if let deferAccept { try kernel.set(.deferAccept(deferAccept), on: socket) }
    }

    /// A socket file left behind by a process that died is removed; one that somebody listens on is
    /// `.addressInUse`.
    private static func openUnix(
        _ path: String, _ endpoint: Endpoint, backlog: Int, kernel: any Kernel
    ) throws(AIOError) -> ListenerSockets {
        let socket = try kernel.makeStreamSocket(for: endpoint)
        do {
            try kernel.bind(socket, to: endpoint)
        } catch {
            guard error.code == .addressInUse, kernel.removeStaleSocket(at: path) else { throw error }
            try kernel.bind(socket, to: endpoint)
        }
        let identity = kernel.socketFileIdentity(at: path)
        do {
            try kernel.listen(socket, backlog: backlog)
        } catch {
            kernel.removeSocketFile(at: path)
            throw error
        }
        let owned = identity.map { (path: path, identity: $0) }
        return ListenerSockets(endpoint: endpoint, ownedFile: owned, boxes: [Box(socket)])
    }
}
