// The inside of a proxy: bytes, ends, resets and slowness pass through it both ways.

import AIO
import AIOKernel
import SystemPackage
import Testing

extension Loopback {
    @Suite struct RelayTests {
        /// The two connections of a proxy, as the relay sees them, and the sockets beyond them.
        private struct Ends: Sendable {
            let client: RawPeer
            let upstream: RawPeer
            let first: Connection
            let second: Connection
        }

        /// Runs a proxy for one client, with `body` at both far sides; what the relay reports, or throws.
        private func proxied(
            _ executor: HandlerExecutor = .worker, unix: Bool = false,
            limits: ConnectionLimits = ConnectionLimits(),
            relaying: @escaping @Sendable (Connection, Connection) async throws -> RelayReport = relay,
            _ body: (Ends, Proactor) async throws -> Void
        ) async throws -> RelayReport {
            let upstream = try RawListener(
                on: unix ? Endpoint(parsing: unixName + "-upstream") : .ip(.loopbackV4, port: 0))
            defer { upstream.close() }
            let endpoint = upstream.endpoint
            let made = Promise<(Connection, Connection)>()
            let accepted = Promise<RawPeer>()
            var options = ServerOptions.testing(executor)
            options.connection = limits
            var clientOptions = ClientOptions()
            clientOptions.executor = executor
            clientOptions.connection = limits
            return try await serving(on: unix ? unixName : "127.0.0.1:0", options) { [clientOptions] first in
                try await first.proactor!.connect(to: endpoint, options: clientOptions) { second in
                    made.put((first, second))
                    return try await relaying(first, second)
                }
            } peer: { client, aio in
                let (first, second) = await made.value()
                accepted.put(try upstream.accept())
                let far = await accepted.value()
                defer { far.close() }
                try await body(Ends(client: client, upstream: far, first: first, second: second), aio)
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `bytes go both ways at once, and are counted`(_ executor: HandlerExecutor) async throws {
            let forward = isSanitized ? 1 << 20 : 8 << 20
            let backward = forward / 2 + 1
            let report = try await proxied(executor) { ends, _ in
                async let received = ends.upstream.receivePattern()
                async let receivedBack = ends.client.receivePattern()
                async let sentBack: Void = ends.upstream.sendPattern(backward)
                try await ends.client.sendPattern(forward)
                try await sentBack
                ends.client.finish()
                ends.upstream.finish()
                #expect(try await received == forward)
                #expect(try await receivedBack == backward)
            }
            var expected = RelayReport()
            expected.forward = UInt64(forward)
            expected.backward = UInt64(backward)
            #expect(report == expected)
        }

        @Test(arguments: [true, false])
        func `the end of one side is passed on, and the other direction stays open`(clientEnds: Bool)
            async throws
        {
            let report = try await proxied { ends, _ in
                let (ending, staying) =
                    clientEnds ? (ends.client, ends.upstream) : (ends.upstream, ends.client)
                try ending.send("request")
                ending.finish()
                #expect(try await onThread { try staying.receiveToEnd() } == Array("request".utf8))
                for word in ["the ", "long ", "answer"] {
                    try staying.send(word)
                    #expect(try await onThread { try ending.receiveText(word.utf8.count) } == word)
                }
                staying.finish()
                #expect(try await onThread { try ending.receiveToEnd() }.isEmpty)
            }
            #expect(report.failure == nil)
            #expect(report.forward == (clientEnds ? 7 : 15))
            #expect(report.backward == (clientEnds ? 15 : 7))
        }

        @Test(arguments: [true, false], HandlerExecutor.all)
        func `a reset is passed on, and reported as what it was`(byClient: Bool, _ executor: HandlerExecutor)
            async throws
        {
            let report = try await proxied(executor) { ends, _ in
                let (resetting, other) =
                    byClient ? (ends.client, ends.upstream) : (ends.upstream, ends.client)
                try resetting.send("before")
                #expect(try await onThread { try other.receiveText(6) } == "before")
                #expect(await eventually { ends.first.readIsWaiting && ends.second.readIsWaiting })
                resetting.reset()
                await #expect(throws: Errno.connectionReset) {
                    try await onThread { try other.receiveToEnd() }
                }
            }
            #expect(report.failure?.code == .connectionReset)
            #expect(report.forward + report.backward == 6)
        }

        @Test func `a slow side slows the other, and little is held`() async throws {
            let limits = ConnectionLimits.testing {
                $0.receiveWindow = 32_768
                $0.highWaterMark = 32_768
                $0.lowWaterMark = 16_384
            }
            let pushed = Promise<Int>()
            let report = try await proxied(unix: true, limits: limits) { ends, aio in
                let client = ends.client
                let count = try await onThread { try client.push(upTo: 256 << 20) }
                pushed.put(count)
                #expect(count < 8 << 20, "what two Unix sockets hold, and the relay")
                #expect(ends.second.pendingByteCount > 32_768)
                #expect(ends.second.pendingByteCount <= 32_768 + 32_768)
                #expect(aio.statistics.total.bytesReceived - aio.statistics.total.bytesSent <= 4 * 32_768)
                client.finish()
                let upstream = ends.upstream
                #expect(try await onThread { try upstream.countToEnd() } == count)
                upstream.finish()
            }
            let expected = UInt64(await pushed.value())
            #expect(report.forward == expected && report.failure == nil)
        }

        @Test func `a relay that is cancelled while nothing comes leaves both connections as they were`()
            async throws
        {
            try await expectCancelled(.worker)
            try await expectCancelled(.global)
        }

        private func expectCancelled(_ executor: HandlerExecutor) async throws {
            let begun = Promise<Task<RelayReport, any Error>>()
            let ended = Promise<Outcome<RelayReport>>()
            let mayEnd = Promise<Void>()
            _ = try await proxied(executor) { first, second in
                let task = Task { try await relay(first, second) }
                begun.put(task)
                ended.put(await outcome { try await task.value })
                await mayEnd.value()
                return RelayReport()
            } _: { ends, _ in
                defer { mayEnd.put(()) }
                let (client, upstream) = (ends.client, ends.upstream)
                try client.send("one")
                #expect(try await onThread { try upstream.receiveText(3) } == "one")
                #expect(await eventually { ends.first.readIsWaiting && ends.second.readIsWaiting })
                await begun.value().cancel()
                #expect(await ended.value().isCancellation)
                try client.send("two")
                #expect(try await ends.first.read() == "two")
                try await ends.first.write("to client")
                try await ends.second.write("to upstream")
                #expect(try await onThread { try client.receiveText(9) } == "to client")
                #expect(try await onThread { try upstream.receiveText(11) } == "to upstream")
            }
        }

        @Test func `a relay that is cancelled while it waits for room loses nothing of what it has read`()
            async throws
        {
            let limits = ConnectionLimits.testing {
                $0.highWaterMark = 16_384
                $0.lowWaterMark = 8_192
            }
            let begun = Promise<Task<RelayReport, any Error>>()
            let ended = Promise<Outcome<RelayReport>>()
            let mayEnd = Promise<Void>()
            _ = try await proxied(unix: true, limits: limits) { first, second in
                let task = Task { try await relay(first, second) }
                begun.put(task)
                ended.put(await outcome { try await task.value })
                await mayEnd.value()
                return RelayReport()
            } _: { ends, _ in
                defer { mayEnd.put(()) }
                let (client, upstream) = (ends.client, ends.upstream)
                let count = 2 << 20
                // More than is held on the way: it waits for the reader below.
                async let sent: Void = client.sendPattern(count)
                #expect(await eventually { ends.second.waiterCount == 1 })
                await begun.value().cancel()
                #expect(await ended.value().isCancellation)
                // What the relay had not read is read here, and goes behind what it had.
                async let forwarded: Void = {
                    while let bytes = try await ends.first.read() { try await ends.second.write(bytes) }
                    ends.second.finish()
                }()
                #expect(try await upstream.receivePattern(atMost: count) == count)
                try await sent
                client.finish()
                try await forwarded
                #expect(try await onThread { try upstream.receiveToEnd() }.isEmpty)
            }
        }
    }
}
