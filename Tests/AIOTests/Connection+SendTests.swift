// What becomes of a send: outcomes, marks, caps, parts that stay together, and half-close.

import AIO
import AIOWorkers
import Testing

extension Loopback {
    @Suite struct SendTests {
        /// A connection to a peer that does not read, and of which the kernel takes no more. (A Unix socket's
        /// buffer is full at once and stays it; TCP may find room later.)
        private func stalled(
            _ aio: Proactor, _ limits: ConnectionLimits
        ) async throws -> (peer: RawPeer, server: Connection, sent: Int) {
            let pair = try await aio.pair()
            let listener = try await aio.events.listen(on: "unix:@aio-tests-stalled", limits: limits)
            let peer = try RawPeer(connectingTo: listener.endpoint)
            let server = try await aio.nextAccepted()
            var sent = 0
            while server.pendingByteCount == 0 {
                server.send(Pattern.bytes(at: sent, count: 16_384))
                sent += 16_384
                try await pair.fence(aio)
            }
            return (peer, server, sent)
        }

        @Test func `a send says how much is queued, and whether that is above the mark`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let limits = ConnectionLimits.testing {
                    $0.highWaterMark = 20_000
                    $0.lowWaterMark = 10_000
                    $0.outboundByteCountMax = 30_000
                    $0.whenOutboundIsFull = .refuse
                }
                let (peer, server, before) = try await stalled(aio, limits)
                var total = before
                func send(_ count: Int) -> SendOutcome {
                    let outcome = server.send(Pattern.bytes(at: total, count: count))
                    if case .refused = outcome {} else { total += count }
                    return outcome
                }
                let pending = server.pendingByteCount
                #expect(send(0) == .queued(pending: pending))
                #expect(send(20_000 - pending) == .queued(pending: 20_000))
                #expect(send(1) == .aboveMark(pending: 20_001))
                #expect(send(9_998) == .aboveMark(pending: 29_999))
                // One send may exceed the limit; the next is refused.
                #expect(send(50_000) == .aboveMark(pending: 79_999))
                #expect(send(1) == .refused(.queueFull))
                #expect(server.send(["a", "b"]) == .refused(.queueFull))
                #expect(server.pendingByteCount == 79_999)

                // The peer reads: one drained, and everything that was not refused.
                let expected = total
                async let received = onThread { try peer.receive(expected) }
                try await aio.run { if case .drained(server) = $0 { true } else { false } }
                #expect(server.pendingByteCount <= 10_000)
                #expect(try await Bytes(received) == wholePattern(expected))
                #expect(await eventually { server.pendingByteCount == 0 })
                #expect(aio.events.drain().isEmpty, "drained comes once")
                #expect(send(5) == .queued(pending: 5))
                peer.close()
            }
        }

        private func wholePattern(_ count: Int) -> Bytes {
            Bytes(
                joining: stride(from: 0, to: count, by: 65_536).map {
                    Pattern.bytes(at: $0, count: min(65_536, count - $0))
                })
        }

        @Test func `by default a full queue closes the connection, with slowConsumer as its reason`()
            async throws
        {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let limits = ConnectionLimits.testing {
                    $0.highWaterMark = 20_000
                    $0.lowWaterMark = 10_000
                    $0.outboundByteCountMax = 30_000
                }
                let (peer, server, sent) = try await stalled(aio, limits)
                server.send(Pattern.bytes(at: sent, count: 40_000))
                #expect(server.send("x") == .refused(.queueFull))
                #expect(server.send("x") == .refused(.closed))
                #expect(try await aio.closeReason(of: server) == .slowConsumer)
                #expect(server.pendingByteCount == 0)
                peer.close()
            }
        }

        @Test func `the parts of a send stay together, whoever else is sending`() async throws {
            let rounds = isSanitized ? 500 : 5_000
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair(
                    clientLimits: .testing { $0.outboundByteCountMax = 1 << 30 })
                let client = pair.client
                async let first: Void = Task.detached {
                    for _ in 0..<rounds { client.send(["a", "b"]) }
                }.value
                async let second: Void = Task.detached {
                    for _ in 0..<rounds { client.send(["c", "", "d"]) }
                }.value
                var text: [UInt8] = []
                try await aio.run { event in
                    if case .received(let bytes, pair.server) = event { text += bytes }
                    return text.count == 4 * rounds
                }
                _ = await (first, second)
                var counts: [String: Int] = [:]
                for start in stride(from: 0, to: text.count, by: 2) {
                    counts[String(decoding: text[start..<start + 2], as: UTF8.self), default: 0] += 1
                }
                #expect(counts == ["ab": rounds, "cd": rounds])
            }
        }

        @Test func `sends of one task arrive in their order from whatever thread they come`() async throws {
            let count = isSanitized ? 2_000 : 20_000
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair(clientLimits: .testing { $0.outboundByteCountMax = 1 << 30 })
                let client = pair.client
                async let sending: Void = Task.detached {
                    for index in 0..<count { client.send(Pattern.bytes(at: index * 10, count: 10)) }
                }.value
                var position = 0
                try await aio.run { event in
                    if case .received(let bytes, pair.server) = event {
                        #expect(Pattern.matches(bytes, at: position))
                        position += bytes.count
                    }
                    return position >= count * 10
                }
                #expect(position == count * 10)
                await sending
            }
        }

        @Test func `finish lets the peer have the rest and go on sending`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                let endpoint = listener.endpoint
                async let count = onThread {
                    let peer = try RawPeer(connectingTo: endpoint)
                    let count = try peer.countToEnd()
                    try peer.send("after your end")
                    peer.close()
                    return count
                }
                let server = try await aio.nextAccepted()
                server.send(Pattern.bytes(at: 0, count: 1 << 20))
                server.finish()
                #expect(server.send("more") == .refused(.closed))
                var text = ""
                let reason: CloseReason = try await aio.first { event in
                    if case .received(let bytes, _) = event { text += String(decoding: bytes, as: UTF8.self) }
                    if case .closed(_, let reason) = event { return reason }
                    return nil
                }
                #expect(try await count == 1 << 20)
                #expect(text == "after your end")
                #expect(reason == .local)
            }
        }
    }
}
