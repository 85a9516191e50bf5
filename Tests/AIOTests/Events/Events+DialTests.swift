// Dialling several addresses where it matters how Linux refuses. Who follows whom and when is tested in simulation.

import AIOKernel
import AIOWorkers
import Glibc
import SystemPackage
import Testing

@testable import AIO

extension Loopback {
    @Suite struct DialTests {
        @Test(arguments: [IPAddress.loopbackV4, .loopbackV6])
        func `a host with both families is reached where it listens`(_ address: IPAddress) async throws {
            let listener = try RawListener(on: .ip(address, port: 0))
            defer { listener.close() }
            let port = try #require(listener.endpoint.port)
            let both: [Endpoint] = [.ip(.loopbackV6, port: port), .ip(.loopbackV4, port: port)]
            try await withProactor(.testing()) { aio in
                for addresses in [both, both.reversed()] {
                    let client = try aio.connect(toFirstOf: addresses)
                    try await aio.run { if case .connected(client) = $0 { true } else { false } }
                    #expect(client.peer == listener.endpoint)
                    _ = try listener.accept()
                }
            }
        }

        @Test func `an address that no route leads to is passed over`() async throws {
            let listener = try RawListener()
            defer { listener.close() }
            // Connecting to a multicast address fails at once with ENETUNREACH.
            let unroutable = Endpoint.ip(.v4(224, 0, 0, 1), port: 9)
            try await withProactor(.testing()) { aio in
                let client = try aio.connect(toFirstOf: [unroutable, unroutable, listener.endpoint])
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                #expect(client.peer == listener.endpoint)
            }
        }

        // MARK: Unix sockets

        /// A Unix listener whose queue is full, and who waits in it.
        private func fullUnixListener(_ name: String) throws -> (RawListener, waiting: [RawPeer]) {
            let listener = try RawListener(on: .abstract(name), backlog: 0)
            var waiting: [RawPeer] = []
            while true {
                do {
                    waiting.append(try RawPeer(connectingTo: listener.endpoint, waits: false))
                } catch Errno.resourceTemporarilyUnavailable {
                    return (listener, waiting)
                }
            }
        }

        @Test func `a Unix listener whose queue is full is asked again until it has room`() async throws {
            let (listener, waiting) = try fullUnixListener("aio-tests-full-\(getpid())")
            defer { for peer in waiting { peer.close() } }
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let client = try aio.events.connect(to: listener.endpoint)
                // A round trip through the same worker: the first attempt has been made by now.
                let pair = try await aio.pair()
                try await pair.fence(aio)
                for _ in waiting { try listener.accept().close() }
                try await aio.run { event in
                    if case .closed(client, let reason) = event { throw PairFailed(reason: reason) }
                    if case .connected(client) = event { return true }
                    return false
                }
                #expect(client.peer == listener.endpoint)
                let server = try listener.accept()
                client.send("hello")
                #expect(try server.receiveText(5) == "hello")
                try server.send("welcome")
                try await aio.run { if case .received("welcome", client) = $0 { true } else { false } }
                server.close()
            }
            listener.close()
        }
    }
}

extension Proactor {
    /// Dials a host that the resolver says has these addresses: what `Events.connect` does, without the
    /// resolver.
    fileprivate func connect(toFirstOf addresses: [Endpoint]) throws -> Connection {
        try #require(engine.accounts.connectionDialled())
        let core = ConnectionCore(
            dialling: engine.accounts.makeID(), worker: engine.workers[0],
            sink: ConnectionSink(events: events.source.queue, limits: ConnectionLimits()),
            target: .host("several.invalid", port: 80))
        core.request(.adopt)
        core.resolved(.success(addresses))
        return Connection(core)
    }
}
