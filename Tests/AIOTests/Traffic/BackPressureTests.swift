// Whoever is slow stops whoever is fast, and nothing grows meanwhile.

import AIO
import Testing

extension Loopback {
    @Suite struct BackPressureTests {
        @Test func `a consumer that stops iterating stops the peer, and goes on with everything`()
            async throws
        {
            let window = 100_000
            let configuration = Proactor.Configuration.testing {
                $0.workerCount = 1
                $0.connection.receiveWindow = window
            }
            try await withProactor(configuration) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let peer = try RawPeer(connectingTo: listener.endpoint)
                let server = try await aio.nextAccepted()
                let pushed = try await onThread { try peer.push(upTo: 256 << 20) }
                // What is neither in the window nor in the kernel was refused to the peer.
                #expect(pushed < 128 << 20)
                #expect(aio.statistics.total.bytesReceived == UInt64(window))
                #expect(aio.statistics.total.readPauses >= 1)
                #expect(aio.statistics.total.slabsInUse <= 4)
                peer.finish()
                var received = 0
                try await aio.run { event in
                    if case .received(let bytes, server) = event { received += bytes.count }
                    return event.name == "closed"
                }
                #expect(received == pushed)
                peer.close()
            }
        }

        @Test
        func
            `an echo server never fills its queue for a peer that sends and does not read, and loses nothing`()
            async throws
        {
            let configuration = Proactor.Configuration.testing { $0.workerCount = 1 }
            let limits = configuration.connection
            try await withProactor(configuration) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                async let counts = onThread {
                    let peer = try RawPeer(connectingTo: endpoint, receiveBufferByteCount: 8_192)
                    let pushed = try peer.push(upTo: 256 << 20)
                    peer.finish()
                    let echoed = try peer.countToEnd()
                    peer.close()
                    return (pushed, echoed)
                }
                var pendingMax = 0
                try await aio.run { event in
                    if case .received(let bytes, let connection) = event {
                        if case .refused(let refusal) = connection.send(bytes) {
                            Issue.record("refused: \(refusal)")
                        }
                        pendingMax = max(pendingMax, connection.pendingByteCount)
                    }
                    return event.name == "closed"
                }
                let (pushed, echoed) = try await counts
                #expect(pushed < 200 << 20, "the peer was stopped")
                #expect(echoed == pushed)
                // How much it is depends on how long the peer is silent: a hold lets through half of what is free
                // below the cap each time that its own time, which doubles, has passed. So never the cap.
                #expect(pendingMax < limits.outboundByteCountMax)
            }
        }

        /// Broadcasts to three members that read and one that does not, until `isDone`.
        private func broadcast(
            _ aio: Proactor, slow: Connection, fast: [Connection], rounds: Int
        ) async throws -> (accepted: Int, refused: Int) {
            let chunk = 32 << 10
            var accepted = 0
            var refused = 0
            for round in 0..<rounds {
                let bytes = Pattern.bytes(at: round * chunk, count: chunk)
                if case .refused = slow.send(bytes) { refused += 1 } else { accepted += 1 }
                for member in fast {
                    guard case .aboveMark = member.send(bytes) else { continue }
                    try await aio.run { if case .drained(member) = $0 { true } else { false } }
                }
            }
            return (accepted, refused)
        }

        /// One at a time, so that a `.drained` is awaited where it is sure to come.
        private func members(
            _ aio: Proactor, _ limits: ConnectionLimits
        ) async throws -> (slowPeer: RawPeer, slow: Connection, fastPeers: [RawPeer], fast: [Connection]) {
            let listener = try await aio.events.listen(on: "unix:@aio-tests-broadcast", limits: limits)
            let slowPeer = try RawPeer(connectingTo: listener.endpoint)
            let slow = try await aio.nextAccepted()
            var fastPeers: [RawPeer] = []
            var fast: [Connection] = []
            for _ in 0..<3 {
                fastPeers.append(try RawPeer(connectingTo: listener.endpoint))
                fast.append(try await aio.nextAccepted())
            }
            return (slowPeer, slow, fastPeers, fast)
        }

        private static let rounds = 200

        @Test func `by default a slow member of a broadcast is cut and the others get everything`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let members = try await members(aio, ConnectionLimits())
                async let counts = countAll(members.fastPeers)
                let (accepted, refused) = try await broadcast(
                    aio, slow: members.slow, fast: members.fast, rounds: Self.rounds)
                #expect(refused > 0)
                #expect(accepted * 32_768 < 2 << 20, "its cap, and what the kernel holds")
                for member in members.fast { member.close() }
                #expect(try await counts == [Int](repeating: Self.rounds * 32_768, count: 3))
                var reasons: [Connection: CloseReason] = [:]
                while reasons[members.slow] == nil || reasons.count < 4 {
                    try await aio.run { event in
                        if case .closed(let connection, let reason) = event { reasons[connection] = reason }
                        return reasons.count >= 3
                    }
                    if reasons.count >= 3 { break }
                }
                // Its closed may have been taken while a drained was awaited: it is refused as closed either
                // way.
                #expect(members.slow.send("x") == .refused(.closed))
                if let reason = reasons[members.slow] { #expect(reason == .slowConsumer) }
                members.slowPeer.close()
            }
        }

        @Test func `with the refusing policy a slow member stays, and gets what was not refused`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let limits = ConnectionLimits.testing { $0.whenOutboundIsFull = .refuse }
                let members = try await members(aio, limits)
                async let counts = countAll(members.fastPeers)
                let (accepted, refused) = try await broadcast(
                    aio, slow: members.slow, fast: members.fast, rounds: Self.rounds)
                #expect(refused > 0 && accepted > 0)
                #expect(members.slow.send("x") == .refused(.queueFull))
                let slowPeer = members.slowPeer
                async let slowCount = onThread {
                    let count = try slowPeer.receive(accepted * 32_768).count
                    return count
                }
                try await aio.run { if case .drained(members.slow) = $0 { true } else { false } }
                #expect(try await slowCount == accepted * 32_768)
                members.slow.send("back")
                #expect(try await onThread { try slowPeer.receiveText(4) } == "back")
                for member in members.fast { member.close() }
                #expect(try await counts == [Int](repeating: Self.rounds * 32_768, count: 3))
                slowPeer.close()
            }
        }

        private func countAll(_ peers: [RawPeer]) async throws -> [Int] {
            try await withThrowingTaskGroup(of: Int.self) { group in
                for peer in peers {
                    group.addTask {
                        try await onThread {
                            defer { peer.close() }
                            return try peer.countToEnd()
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
    }
}
