// Making connections: families, names, and each way in which it fails.

import AIO
import Glibc
import Testing

extension Loopback {
    @Suite struct ConnectTests {
        /// Why connecting to `endpoint` failed.
        private func failure(
            of endpoint: String, _ aio: Proactor, limits: ConnectionLimits? = nil
        ) async throws -> AIOError {
            let connection = try aio.events.connect(to: endpoint, limits: limits)
            guard case .connectFailed(let error) = try await aio.closeReason(of: connection) else {
                throw StreamEnded()
            }
            #expect(connection.local == nil)
            #expect(connection.send("x") == .refused(.closed))
            return error
        }

        @Test func `nobody listens on the port`() async throws {
            let endpoint = try RawListener.vacatedEndpoint()
            try await withProactor(.testing()) { aio in
                let error = try await failure(of: endpoint.description, aio)
                #expect(error.code == .connectionRefused)
                #expect(error.call == "connect" && error.detail == endpoint.description)
                #expect(aio.statistics.connections == 0)
            }
        }

        @Test func `the path of a Unix socket has vanished`() async throws {
            try await withProactor(.testing()) { aio in
                let error = try await failure(of: "unix:/tmp/aio-tests-no-such-directory/a.sock", aio)
                #expect(error.code == .notFound)
            }
        }

        @Test func `nobody listens on the abstract name`() async throws {
            try await withProactor(.testing()) { aio in
                let error = try await failure(of: "unix:@aio-tests-nobody", aio)
                #expect(error.code == .connectionRefused)
            }
        }

        @Test func `a host that does not exist is an event, not a throw`() async throws {
            try await withProactor(.testing()) { aio in
                // Without a name server the lookup itself fails; both say that there is no such host to
                // connect to.
                let error = try await failure(of: "no-such-host.invalid:80", aio)
                #expect([.hostNotFound, .nameResolutionFailed].contains(error.code))
            }
        }

        @Test func `text that is no address is thrown at once`() async throws {
            try await withProactor(.testing()) { aio in
                for text in ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "unix:", "[::1:80"] {
                    let error = try #require(throws: AIOError.self) { try aio.events.connect(to: text) }
                    #expect(error.code == .malformedEndpoint)
                }
                #expect(aio.statistics.connections == 0)
            }
        }

        @Test func `limits that make no sense are thrown at once`() async throws {
            try await withProactor(.testing()) { aio in
                let limits = ConnectionLimits.testing { $0.receiveWindow = 0 }
                let error = try #require(throws: AIOError.self) {
                    try aio.events.connect(to: "127.0.0.1:1", limits: limits)
                }
                #expect(error.code == .invalidArgument)
            }
        }

        @Test func `a peer that never answers is given up after the connect timeout`() async throws {
            // A full queue of connections: the kernel drops what else wants to connect, without a word.
            let listener = try RawListener(backlog: 0)
            let waiting = try (0..<8).map { _ in try RawPeer(connectingTo: listener.endpoint, waits: false) }
            defer { for peer in waiting { peer.close() } }
            try #require(try !waiting[7].isReady(Int32(POLLOUT), within: 0))
            try await withProactor(.testing()) { aio in
                let start = ContinuousClock.now
                let connection = try aio.events.connect(
                    to: listener.endpoint.description, timeout: .milliseconds(100))
                guard case .connectFailed(let error) = try await aio.closeReason(of: connection) else {
                    return #expect(Bool(false), "connected")
                }
                #expect(error.code == .timedOut)
                #expect(ContinuousClock.now - start >= .milliseconds(100))
            }
            listener.close()
        }

        @Test func `an attempt that is under way can be closed`() async throws {
            let listener = try RawListener(backlog: 0)
            let waiting = try (0..<8).map { _ in try RawPeer(connectingTo: listener.endpoint, waits: false) }
            defer { for peer in waiting { peer.close() } }
            try await withProactor(.testing()) { aio in
                let closed = try aio.events.connect(to: listener.endpoint)
                let aborted = try aio.events.connect(to: listener.endpoint)
                closed.close()
                aborted.abort()
                var reasons: [Connection: CloseReason] = [:]
                try await aio.run { event in
                    guard case .closed(let connection, let reason) = event else { return false }
                    reasons[connection] = reason
                    return reasons.count == 2
                }
                #expect(reasons == [closed: .local, aborted: .aborted])
            }
            listener.close()
        }

        @Test(arguments: ["127.0.0.1:0", "[::1]:0", "*:0", "unix:@aio-tests-echo"])
        func `bytes go both ways over`(_ text: String) async throws {
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair(on: text)
                pair.client.send("ping")
                try await aio.run { event in
                    if case .received(let bytes, let connection) = event {
                        if connection == pair.server { connection.send("re: \(bytes)") }
                        if connection == pair.client { #expect(bytes == "re: ping") }
                        return connection == pair.client
                    }
                    return false
                }
            }
        }

        @Test func `a listener on every interface is reached over IPv4 and over IPv6`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "*:0")
                let port = try #require(listener.endpoint.port)
                #expect(listener.endpoint == .any(port: port))
                for address in [IPAddress.loopbackV4, .loopbackV6] {
                    let client = try aio.events.connect(to: .ip(address, port: port))
                    let server = try await aio.nextAccepted()
                    #expect(server.peer.address == address)
                    #expect(server.local == .ip(address, port: port))
                    client.close()
                    #expect(try await aio.closeReason(of: server) == .peer)
                }
            }
        }

        @Test func `a host is found by its name`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "*:0")
                let port = try #require(listener.endpoint.port)
                let client = try aio.events.connect(to: "localhost:\(port)")
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                #expect(client.peer.address?.isLoopback == true)
            }
        }

        @Test func `a name whose first addresses refuse is tried until one accepts`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let port = try #require(listener.endpoint.port)
                // On most machines the name is ::1 first, where nobody listens.
                let client = try aio.events.connect(to: "localhost:\(port)")
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                #expect(client.peer == listener.endpoint)
            }
        }

        @Test func `what is sent while connecting arrives once connected`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let client = try aio.events.connect(to: listener.endpoint)
                #expect(client.send("early ") == .queued(pending: 6))
                client.send(["b", "ird"])
                client.finish()
                #expect(client.send("late") == .refused(.closed))
                var text = ""
                try await aio.run { event in
                    if case .received(let bytes, _) = event { text += String(decoding: bytes, as: UTF8.self) }
                    return event.name == "peerHalfClosed"
                }
                #expect(text == "early bird")
            }
        }

        @Test func `an address that is known while the connection is being taken in is not forgotten`()
            async throws
        {
            // The worker takes the connection in while this thread hands over the address: no matter which is
            // first.
            let count = isSanitized ? 300 : 3_000
            try await withProactor(.testing { $0.connection.connectTimeout = .seconds(5) }) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                var left = count
                _ = try aio.events.connect(to: listener.endpoint)
                try await aio.run { event in
                    switch event {
                    case .connected(let connection): connection.abort()
                    case .closed(let connection, let reason):
                        if connection.isAccepted { break }
                        #expect(reason == .aborted)
                        left -= 1
                        if left > 0 { _ = try aio.events.connect(to: listener.endpoint) }
                    default: break
                    }
                    return left == 0
                }
            }
        }

        @Test func `connections made count against the same limit as those accepted`() async throws {
            try await withProactor(.testing { $0.connectionsMax = 2 }) { aio in
                let listener = try RawListener()
                let first = try aio.events.connect(to: listener.endpoint)
                _ = try aio.events.connect(to: listener.endpoint)
                let error = try #require(throws: AIOError.self) {
                    try aio.events.connect(to: listener.endpoint)
                }
                #expect(error.code == .limitReached)
                #expect(error.detail?.contains("connectionsMax: 2") == true)
                first.abort()
                #expect(try await aio.closeReason(of: first) == .aborted)
                #expect(throws: Never.self) { try aio.events.connect(to: listener.endpoint) }
            }
        }
    }
}
