// Beginning and ending: shutdown in every situation, a proactor that is dropped, and the scoped form.

import Testing

@testable import AIO

extension Loopback {
    @Suite struct ProactorTests {
        private struct Failure: Error {}

        /// A thread that was joined is listed for a moment longer.
        private func threadsAreGone() async -> Bool {
            await eventually(within: .seconds(1)) { ProcessHoldings.now().threads.isEmpty }
        }

        @Test func `a configuration that makes no sense names the setting`() throws {
            let error = try #require(throws: AIOError.self) { try Proactor(.testing { $0.workerCount = 0 }) }
            #expect(error.code == .invalidArgument && error.detail?.contains("workerCount is 0") == true)
            #expect(throws: AIOError.self) { try Proactor(.testing { $0.connection.lowWaterMark = 1 << 20 }) }
            #expect(throws: AIOError.self) { try Proactor(.testing { $0.slabByteCount = 100 }) }
        }

        @Test func `shutdown while somebody iterates tells every connection's end, and then ends the stream`()
            async throws
        {
            let aio = try Proactor(.testing())
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            let endpoint = listener.endpoint
            let peers = try (0..<10).map { _ in try RawPeer(connectingTo: endpoint) }
            var accepted = 0
            try await aio.run { event in
                if event.name == "accepted" { accepted += 1 }
                return accepted == 10
            }
            async let ended: Void = aio.shutdown()
            async let peersEnded = onThread {
                try peers.allSatisfy { peer in
                    let bytes = try peer.receiveToEnd()
                    peer.close()
                    return bytes.isEmpty
                }
            }
            var reasons: [CloseReason] = []
            for await event in aio.events {
                if case .closed(_, let reason) = event { reasons.append(reason) }
            }
            #expect(reasons == [CloseReason](repeating: .shutDown, count: 10))
            try await ended
            #expect(try await peersEnded, "an orderly end, not a reset")
            for await event in aio.events { Issue.record("\(event.name) after the end") }
            #expect(aio.events.drain().isEmpty)
        }

        @Test func `shutdown delivers what was queued for a peer`() async throws {
            let aio = try Proactor(.testing { $0.shutdownTimeout = .seconds(20) })
            let listener = try await aio.events.listen(
                on: "127.0.0.1:0", limits: .testing { $0.outboundByteCountMax = 1 << 30 })
            let endpoint = listener.endpoint
            let peer = try await onThread { try RawPeer(connectingTo: endpoint) }
            let server = try await aio.nextAccepted()
            for index in 0..<10 { server.send(Pattern.bytes(at: index << 20, count: 1 << 20)) }
            async let count = onThread {
                let count = try peer.countToEnd()
                peer.close()
                return count
            }
            try await aio.shutdown()
            #expect(try await count == 10 << 20)
            #expect(try await aio.closeReason(of: server) == .shutDown)
        }

        @Test func `shutdown needs nobody to iterate, and what is left can be taken afterwards`() async throws
        {
            let aio = try Proactor(.testing())
            let pair = try await aio.pair()
            pair.client.send("unread")
            #expect(await eventually { aio.statistics.total.bytesReceived == 6 })
            try await aio.shutdown()
            #expect(await threadsAreGone())
            var names: [Connection: [String]] = [:]
            for await event in aio.events {
                if let connection = event.connection { names[connection, default: []].append(event.name) }
            }
            #expect(names[pair.client]?.last == "closed")
            #expect(names[pair.server]?.first == "received" && names[pair.server]?.last == "closed")
        }

        @Test func `shutdown may be called often and from many tasks`() async throws {
            let aio = try Proactor(.testing())
            _ = try await aio.pair()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { try await aio.shutdown() } }
                try await group.waitForAll()
            }
            #expect(await threadsAreGone())
            try await aio.shutdown()
        }

        @Test func `after shutdown every call that would start something throws shutDown`() async throws {
            let aio = try Proactor(.testing())
            try await aio.shutdown()
            func code(_ body: () async throws -> Void) async -> AIOError.Code? {
                do {
                    try await body()
                    return nil
                } catch { return (error as? AIOError)?.code }
            }
            #expect(await code { try await aio.events.listen(on: "127.0.0.1:0") } == .shutDown)
            #expect(await code { try await aio.events.listen(on: "localhost:0") } == .shutDown)
            #expect(await code { try aio.events.connect(to: "127.0.0.1:1") } == .shutDown)
            #expect(await code { try aio.events.connect(to: "localhost:1") } == .shutDown)
            #expect(await code { try aio.events.schedule(after: .zero, tag: 1) } == .shutDown)
            #expect(await code { try aio.events.post(1) } == .shutDown)
            #expect(await code { try aio.events.watch(signals: [.user1]) } == .shutDown)
            #expect(aio.statistics.connections == 0)
        }

        @Test func `shutdown can be asked for in the body of the loop`() async throws {
            let aio = try Proactor(.testing())
            let pair = try await aio.pair()
            pair.client.send("stop")
            var names: [String] = []
            for await event in aio.events {
                names.append(event.name)
                if event.name == "received" { try await aio.shutdown() }
            }
            #expect(names.first == "received")
            #expect(names.filter { $0 == "closed" }.count == 2)
        }

        @Test func `a peer that never closes is cut when the shutdown timeout is over`() async throws {
            let aio = try Proactor(.testing { $0.shutdownTimeout = .milliseconds(100) })
            let listener = try await aio.events.listen(
                on: "127.0.0.1:0", limits: .testing { $0.lingerTimeout = .seconds(600) })
            let peer = try RawPeer(connectingTo: listener.endpoint)
            let server = try await aio.nextAccepted()
            let start = ContinuousClock.now
            try await aio.shutdown()
            #expect(ContinuousClock.now - start >= .milliseconds(100))
            #expect(try await aio.closeReason(of: server) == .shutDown)
            peer.close()
        }

        @Test func `cancelling the task that shuts down skips the graceful part`() async throws {
            let aio = try Proactor(.testing { $0.shutdownTimeout = .seconds(600) })
            let listener = try await aio.events.listen(
                on: "127.0.0.1:0", limits: .testing { $0.lingerTimeout = .seconds(600) })
            let peer = try RawPeer(connectingTo: listener.endpoint)
            _ = try await aio.nextAccepted()
            let ending = Task.detached { try await aio.shutdown() }
            // The end of the peer's input shows that the graceful part is under way.
            #expect(try await onThread { try peer.receiveToEnd() }.isEmpty)
            ending.cancel()
            try await ending.value
            #expect(await threadsAreGone())
            peer.close()
        }

        @Test func `connections that the kernel had queued see an end at shutdown, and no reset`()
            async throws
        {
            for _ in 0..<10 {
                let aio = try Proactor(.testing())
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let peers = try (0..<40).map { _ in try RawPeer(connectingTo: listener.endpoint) }
                async let ended: Void = aio.shutdown()
                let resets = try await onThread {
                    peers.filter { peer in
                        defer { peer.close() }
                        return (try? peer.receiveToEnd()) == nil
                    }.count
                }
                #expect(resets == 0)
                try await ended
            }
        }

        @Test func `connections that are being made are closed by shutdown`() async throws {
            let aio = try Proactor(.testing())
            let listener = try RawListener(backlog: 0)
            let clients = try (0..<8).map { _ in try aio.events.connect(to: listener.endpoint) }
            let named = try aio.events.connect(to: "localhost:\(listener.endpoint.port ?? 0)")
            try await aio.shutdown()
            var closed: Set<Connection> = []
            for await event in aio.events {
                if case .closed(let connection, _) = event { #expect(closed.insert(connection).inserted) }
            }
            #expect(closed == Set(clients + [named]))
            listener.close()
        }

        @Test func `a proactor that is dropped ends its threads and cuts its connections`() async throws {
            let before = ProcessHoldings.now()
            var listener: RawListener? = try RawListener()
            let endpoint = try #require(listener?.endpoint)
            do {
                let aio = try Proactor(.testing())
                try await aio.events.listen(on: "127.0.0.1:0")
                let client = try aio.events.connect(to: endpoint)
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
                try aio.events.schedule(after: .seconds(1_000), tag: 1)
                try aio.events.post("never taken")
            }
            let peer = try #require(try listener?.accept())
            #expect(throws: (any Error).self) { try peer.receiveToEnd() }
            peer.close()
            listener = nil
            #expect(await eventually { ProcessHoldings.now().isWithin(before) })
        }

        @Test func `what is asked of connections and timers after the end keeps nothing alive`() async throws
        {
            weak var engine: AnyObject?
            weak var worker: AnyObject?
            do {
                let aio = try Proactor(.testing())
                (engine, worker) = (aio.engine, aio.engine.workers[0])
                let pair = try await aio.pair()
                let timer = try aio.events.schedule(after: .seconds(1_000), tag: 1)
                try await aio.shutdown()
                for connection in [pair.client, pair.server] {
                    connection.finish()
                    connection.close()
                }
                timer.cancel()
                try await aio.shutdown()
            }
            #expect(await eventually { engine == nil && worker == nil })
        }

        @Test func `every connection that was accepted is told as closed, whichever worker ended first`()
            async throws
        {
            for round in 0..<20 {
                let aio = try Proactor(.testing { $0.workerCount = 4 })
                let listener = try await aio.events.listen(on: "unix:@aio-tests-ending-\(round)")
                let peers = try (0..<30).map { _ in try RawPeer(connectingTo: listener.endpoint) }
                async let ended: Void = aio.shutdown()
                async let peersEnded: Void = onThread {
                    for peer in peers {
                        _ = try peer.receiveToEnd()
                        peer.close()
                    }
                }
                var accepted: Set<Connection> = []
                var closed: Set<Connection> = []
                for await event in aio.events {
                    if case .accepted(let connection) = event { accepted.insert(connection) }
                    if case .closed(let connection, _) = event { closed.insert(connection) }
                }
                try await ended
                try await peersEnded
                #expect(accepted.count == 30 && closed == accepted)
                #expect(aio.statistics.connections == 0)
            }
        }

        @Test func `what a dropped proactor held goes with it`() async throws {
            final class Canary: Sendable {}
            weak var posted: Canary?
            weak var attached: Canary?
            do {
                let aio = try Proactor(.testing())
                let pair = try await aio.pair()
                let canaries = (Canary(), Canary())
                (posted, attached) = canaries
                try aio.events.post(canaries.0)
                pair.server.attach(canaries.1)
            }
            #expect(await eventually { posted == nil && attached == nil })
        }

        @Test func `many proactors come and go`() async throws {
            for index in 0..<(isSanitized ? 20 : 100) {
                let aio = try Proactor(.testing { $0.workerCount = 1 + index % 3 })
                if index.isMultiple(of: 2) { try await aio.events.listen(on: "127.0.0.1:0") }
                try await aio.shutdown()
            }
            #expect(await threadsAreGone())
        }

        @Test func `the scoped form returns the body's value, and shuts down when the body throws`()
            async throws
        {
            #expect(try await withProactor(.testing()) { _ in 42 } == 42)
            #expect(await threadsAreGone())
            await #expect(throws: Failure.self) {
                try await withProactor(.testing()) { aio in
                    _ = try await aio.pair()
                    throw Failure()
                }
            }
            #expect(await threadsAreGone())
            await #expect(throws: AIOError.self) {
                try await withProactor(.testing { $0.workerCount = -1 }) { _ in }
            }
        }
    }
}
