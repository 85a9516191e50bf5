// Dialling hosts with several addresses: who wins, who follows whom, and that nothing of the others is left.

import AIOKernel
import AIOWorkers
import Glibc
import SystemPackage
import Testing

@testable import AIO

extension Loopback {
    @Suite struct DialTests {
        /// A listener whose queue is full, so that the kernel drops what else wants to connect: an address
        /// that swallows packets.
        private final class Swallower {
            let listener: RawListener
            private let waiting: [RawPeer]

            var endpoint: Endpoint { listener.endpoint }

            init(on address: IPAddress = .loopbackV4) throws {
                let listener = try RawListener(on: .ip(address, port: 0), backlog: 0)
                self.listener = listener
                waiting = try (0..<8).map { _ in
                    try RawPeer(connectingTo: listener.endpoint, waits: false)
                }
                try #require(try !waiting[7].isReady(Int32(POLLOUT), within: 0))
            }

            deinit {
                for peer in waiting { peer.close() }
                listener.close()
            }
        }

        /// How many sockets the process has.
        private func socketCount() -> Int {
            ProcessHoldings.now().descriptors.count { $0.hasPrefix("socket:") }
        }

        private func failure(of connection: Connection, _ aio: Proactor) async throws -> AIOError {
            guard case .connectFailed(let error) = try await aio.closeReason(of: connection) else {
                throw StreamEnded()
            }
            return error
        }

        @Test(arguments: [IPAddress.loopbackV4, .loopbackV6])
        func `an address that swallows packets is overtaken after the delay, and let go of`(
            _ address: IPAddress
        ) async throws {
            let swallower = try Swallower(on: address)
            let listener = try RawListener(on: .ip(.loopbackV4, port: 0))
            defer { listener.close() }
            try await withProactor(.testing()) { aio in
                let before = socketCount()
                let start = ContinuousClock.now
                let client = try aio.connect(toFirstOf: [swallower.endpoint, listener.endpoint]) {
                    $0.connectAttemptDelay = .milliseconds(60)
                }
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                #expect(ContinuousClock.now - start >= .milliseconds(60))
                #expect(client.peer == listener.endpoint)
                #expect(client.local?.address == .loopbackV4)
                // The connection's socket and no other: what was still under way is closed by now.
                #expect(socketCount() == before + 1)
                let server = try listener.accept()
                try server.send("welcome")
                try await aio.run { if case .received("welcome", client) = $0 { true } else { false } }
            }
        }

        @Test func `an address that refuses is followed at once`() async throws {
            let refusing = try RawListener.vacatedEndpoint()
            let listener = try RawListener()
            defer { listener.close() }
            try await withProactor(.testing()) { aio in
                let start = ContinuousClock.now
                let client = try aio.connect(toFirstOf: [refusing, listener.endpoint]) {
                    $0.connectAttemptDelay = .seconds(2)
                }
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                #expect(ContinuousClock.now - start < .seconds(2))
                #expect(client.peer == listener.endpoint)
            }
        }

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

        @Test func `bytes that the peer sends at once are not missed`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try RawListener()
                let greeting = Task { [listener] in
                    try await onThread {
                        for _ in 0..<200 {
                            let peer = try listener.accept()
                            try peer.send("220 ready\r\n")
                            peer.finish()
                        }
                    }
                }
                for _ in 0..<200 {
                    let client = try aio.events.connect(to: listener.endpoint)
                    var names: [String] = []
                    try await aio.run { event in
                        if event.connection == client { names.append(event.name) }
                        if case .peerHalfClosed(client) = event { client.abort() }
                        return names.last == "closed"
                    }
                    #expect(names == ["connected", "received", "peerHalfClosed", "closed"])
                }
                try await greeting.value
                listener.close()
            }
        }

        @Test func `when all addresses fail the last error is the reason`() async throws {
            let refusing = try (0..<3).map { _ in try RawListener.vacatedEndpoint() }
            try await withProactor(.testing()) { aio in
                let before = socketCount()
                let error = try await failure(of: try aio.connect(toFirstOf: refusing), aio)
                #expect(error.code == .connectionRefused)
                #expect(error.detail == refusing[2].description)
                #expect(socketCount() == before)
                #expect(aio.statistics.connections == 0)
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

        @Test func `the deadline is one for all addresses, and leaves no socket`() async throws {
            let swallowers = try [Swallower(), Swallower(on: .loopbackV6), Swallower()]
            try await withProactor(.testing()) { aio in
                let before = socketCount()
                let start = ContinuousClock.now
                let client = try aio.connect(toFirstOf: swallowers.map(\.endpoint)) {
                    $0.connectTimeout = .milliseconds(150)
                    $0.connectAttemptDelay = .milliseconds(20)
                }
                let error = try await failure(of: client, aio)
                #expect(error.code == .timedOut)
                #expect(ContinuousClock.now - start >= .milliseconds(150))
                #expect(socketCount() == before)
            }
        }

        @Test func `an address behind two that swallow packets gets its turn before the deadline`()
            async throws
        {
            let swallowers = try [Swallower(), Swallower()]
            let listener = try RawListener()
            defer { listener.close() }
            try await withProactor(.testing()) { aio in
                let client = try aio.connect(
                    toFirstOf: swallowers.map(\.endpoint) + [listener.endpoint]
                ) {
                    $0.connectTimeout = .milliseconds(900)
                    $0.connectAttemptDelay = .seconds(2)
                }
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                #expect(client.peer == listener.endpoint)
            }
        }

        @Test(arguments: [true, false])
        func `a race that is ended half-way closes all its sockets at once`(_ isAborted: Bool) async throws {
            let swallowers = try [Swallower(), Swallower(on: .loopbackV6), Swallower()]
            try await withProactor(.testing()) { aio in
                let before = socketCount()
                let client = try aio.connect(toFirstOf: swallowers.map(\.endpoint)) {
                    $0.connectAttemptDelay = .milliseconds(10)
                }
                try #require(await eventually { socketCount() == before + 3 })
                if isAborted { client.abort() } else { client.close() }
                #expect(try await aio.closeReason(of: client) == (isAborted ? .aborted : .local))
                #expect(socketCount() == before)
            }
        }

        @Test func `shutting down ends a race`() async throws {
            let swallowers = try [Swallower(), Swallower()]
            let aio = try Proactor(.testing())
            let before = socketCount()
            let client = try aio.connect(toFirstOf: swallowers.map(\.endpoint)) {
                $0.connectAttemptDelay = .milliseconds(10)
            }
            try #require(await eventually { socketCount() == before + 2 })
            try await aio.shutdown()
            #expect(socketCount() == before)
            #expect(try await aio.closeReason(of: client) == .shutDown)
        }

        @Test func `delays outside of what RFC 8305 allows are refused by name`() async throws {
            try await withProactor(.testing()) { aio in
                for delay in [Duration.milliseconds(9), .milliseconds(2_001), .zero, .seconds(-1)] {
                    let limits = ConnectionLimits.testing { $0.connectAttemptDelay = delay }
                    let error = try #require(throws: AIOError.self) {
                        try aio.events.connect(to: "127.0.0.1:1", limits: limits)
                    }
                    #expect(error.code == .invalidArgument)
                    #expect(error.detail?.hasPrefix("connectAttemptDelay") == true)
                }
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

        @Test func `a Unix listener whose queue stays full is given up at the deadline`() async throws {
            let (listener, waiting) = try fullUnixListener("aio-tests-stays-full-\(getpid())")
            defer { for peer in waiting { peer.close() } }
            try await withProactor(.testing()) { aio in
                let before = socketCount()
                let start = ContinuousClock.now
                let client = try aio.events.connect(to: "\(listener.endpoint)", timeout: .milliseconds(50))
                #expect(try await failure(of: client, aio).code == .timedOut)
                #expect(ContinuousClock.now - start >= .milliseconds(50))
                #expect(socketCount() == before)
            }
            listener.close()
        }
    }
}

extension Proactor {
    /// Dials a host that the resolver says has these addresses: what `Events.connect` does, without the
    /// resolver.
    fileprivate func connect(
        toFirstOf addresses: [Endpoint], _ change: (inout ConnectionLimits) -> Void = { _ in }
    ) throws -> Connection {
        try #require(engine.accounts.connectionDialled())
        let core = ConnectionCore(
            dialling: engine.accounts.makeID(), worker: engine.workers[0],
            sink: ConnectionSink(events: events.source.queue, limits: .testing(change)),
            target: .host("several.invalid", port: 80))
        core.request(.adopt)
        core.resolved(.success(addresses))
        return Connection(core)
    }
}
