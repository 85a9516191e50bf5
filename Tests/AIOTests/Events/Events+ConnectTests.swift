// Making connections over real sockets: families, names, and the errors that Linux has for each way in which it fails. When
// they come is tested in simulation.

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
    }
}
