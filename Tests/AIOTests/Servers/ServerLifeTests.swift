// How a server begins and what goes wrong: misuse, errors of handlers, of listeners, and servers never served.

import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

extension Loopback {
    @Suite struct ServerLifeTests {
        private struct Bad: Error {}

        // MARK: Errors of handlers

        @Test(arguments: ServeTests.executors)
        func `a handler's error ends its connection only, and is reported once, with the peer`(
            executor: HandlerExecutor
        ) async throws {
            let reports = Recorder<Report>()
            let failing = Recorder<Endpoint>()
            try await withProactor(reporting(to: reports)) { aio in
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    for try await chunk in connection.chunks {
                        if chunk == "bad" {
                            failing.add(connection.peer)
                            try await connection.write("oh no")
                            throw Bad()
                        }
                        try await connection.write(chunk)
                    }
                }
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let (good, bad) = try (RawPeer(connectingTo: endpoint), RawPeer(connectingTo: endpoint))
                    #expect(try good.exchange("good") == "good")
                    try bad.send("bad")
                    #expect(try bad.receiveToEnd() == Array("oh no".utf8), "gracefully")
                    #expect(try good.exchange("still good") == "still good")
                    good.close()
                    bad.close()
                }
                let report = try await serving.drained()
                #expect(report.failed == 1 && report.completed == 1)
            }
            let peer = try #require(failing.values.first)
            #expect(reports.count == 1 && reports.values[0].severity == .warning)
            #expect(reports.values[0].description.contains("\(peer)"))
            #expect(reports.values[0].description.contains("Bad"))
        }

        @Test func `an error of AIO's is reported with its code`() async throws {
            let reports = Recorder<Report>()
            try await withProactor(reporting(to: reports)) { aio in
                let serving = try await aio.serving { _ = try await $0.read(exactly: 100) }
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let peer = try RawPeer(connectingTo: endpoint)
                    try peer.send("half")
                    peer.finish()
                    #expect(try peer.seesEnd())
                    peer.close()
                }
                #expect(try await serving.drained().failed == 1)
            }
            #expect(reports.values.map { $0.error?.code } == [.connectionClosedEarly])
        }

        @Test func `ten failures a second are reported, and the number of the others is said`() async throws {
            let reports = Recorder<Report>()
            let clock = ContinuousClock()
            try await withProactor(reporting(to: reports)) { aio in
                let serving = try await aio.serving(on: "unix:@aio-tests-rate") { _ in throw Bad() }
                let endpoint = serving.endpoint
                let begin = clock.now
                let failureCount = try await onThread {
                    var count = 0
                    // Until one says how many came before it; at most two to three seconds' worth.
                    while !reports.values.contains(where: { $0.message.contains("not reported") }) {
                        let peer = try RawPeer(connectingTo: endpoint)
                        _ = try peer.seesEnd()
                        peer.close()
                        count += 1
                    }
                    return count
                }
                let seconds = Int(begin.duration(to: clock.now).components.seconds)
                let report = try await serving.drained()
                #expect(report.failed == failureCount)
                let said = reports.values.compactMap { Self.leftOut(of: $0.message) }
                #expect(said.count == 1 && said[0] > 0)
                #expect(reports.count + said.reduce(0, +) == failureCount)
                #expect(reports.count <= 10 * (seconds + 2))
            }
        }

        /// The number in "(17 failures before it were not reported)".
        private static func leftOut(of message: String) -> Int? {
            guard message.contains("not reported"), let open = message.firstIndex(of: "(") else { return nil }
            return Int(message[message.index(after: open)...].prefix { $0.isNumber })
        }

        // MARK: Misuse, and what cannot be

        @Test func `a server is served once`() async throws {
            try await withProactor(.testing()) { aio in
                let serving = try await aio.serving { try await $0.echo() }
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.exchange("one") == "one")
                    peer.close()
                }
                #expect(await errorCode { try await serving.server.serve { _ in } } == .misuse)
                _ = try await serving.drained()
                #expect(await errorCode { try await serving.server.serve { _ in } } == .misuse)
            }
        }

        @Test func `options that make no sense are refused by name`() async throws {
            try await withProactor(.testing()) { aio in
                for change in [
                    { $0.connectionsMax = 0 }, { $0.connectionsPerPeerMax = 0 }, { $0.backlog = -1 },
                    { $0.drainFirstBytesTimeout = .seconds(-1) },
                    { $0.connection = .testing { $0.receiveWindow = 0 } },
                ] as [(inout ServerOptions) -> Void] {
                    let options = ServerOptions.testing(change)
                    #expect(
                        await errorCode { _ = try await aio.listen(on: "127.0.0.1:0", options: options) }
                            == .invalidArgument)
                }
                #expect(await errorCode { _ = try await aio.listen(on: [Endpoint]()) } == .invalidArgument)
            }
        }

        @Test func `an address in use is an error, and then none is listened on`() async throws {
            try await withProactor(.testing()) { aio in
                let taken = try RawListener()
                let name = Endpoint.unix("@aio-tests-not-kept")
                #expect(await errorCode { _ = try await aio.listen(on: [taken.endpoint]) } == .addressInUse)
                #expect(
                    await errorCode { _ = try await aio.listen(on: [name, taken.endpoint]) } == .addressInUse)
                let isGone = await eventually { isRefused(name) }
                #expect(isGone)
                taken.close()
            }
        }

        @Test func `a server that is never served closes its sockets, and whoever was queued sees it`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                var server: Server? = try await aio.listen(on: "127.0.0.1:0")
                let endpoint = try #require(server?.endpoint)
                let peers = try (0..<10).map { _ in try RawPeer(connectingTo: endpoint) }
                server = nil
                let isGone = await eventually { isRefused(endpoint) }
                #expect(isGone)
                try await onThread { () throws in
                    for peer in peers {
                        // An end or a reset; not silence.
                        try peer.wait(for: POLLIN)
                        peer.close()
                    }
                }
                #expect(await eventually { aio.statistics.connections == 0 })
                #expect(server == nil)
            }
        }

        // MARK: After the end

        @Test func `nothing is listened on or served after shutdown, and nothing is left of what was`()
            async throws
        {
            let directory = try TemporaryDirectory()
            let aio = try Proactor(.testing())
            let served = try await aio.listen(on: "127.0.0.1:0", "unix:\(directory.path)/a.sock")
            let dropped = try await aio.listen(on: "127.0.0.1:0", "unix:\(directory.path)/b.sock")
            try await aio.shutdown()
            for endpoint in served.endpoints + dropped.endpoints {
                #expect(isRefused(endpoint), "closed by the end")
            }
            #expect(await errorCode { _ = try await aio.listen(on: "127.0.0.1:0") } == .shutDown)
            #expect(await errorCode { try await served.serve { _ in } } == .shutDown)
            #expect(await errorCode { try await aio.serve(on: "127.0.0.1:0") { _ in } } == .shutDown)
            _ = consume dropped
            let isGone = await eventually { !directory.exists("a.sock") && !directory.exists("b.sock") }
            #expect(isGone)
        }

        @Test func `a listening socket that breaks drains the server, and is what serve throws`() async throws
        {
            let reports = Recorder<Report>()
            try await withProactor(reporting(to: reports)) { aio in
                let gate = Gate()
                let serving = try await aio.serving(.testing { $0.sharesListener = true }) { connection in
                    for try await chunk in connection.chunks {
                        await gate.wait()
                        try await connection.write(chunk)
                    }
                }
                let endpoint = serving.endpoint
                let peer = try RawPeer(connectingTo: endpoint)
                try peer.send("reply")
                #expect(await eventually { gate.count == 1 })
                for number in Self.listeners(on: endpoint) {
                    #expect(Glibc.shutdown(number, Int32(SHUT_RDWR)) == 0)
                }
                #expect(await eventually { isRefused(endpoint) })
                gate.open()
                try await onThread { () throws in
                    #expect(try peer.receiveToEnd() == Array("reply".utf8))
                    peer.close()
                }
                let error = await #expect(throws: AIOError.self) { try await serving.report }
                #expect(error?.call == "accept4" && error?.code == .invalidArgument)
            }
        }

        /// Descriptors of this process that listen at an address.
        private static func listeners(on endpoint: Endpoint) -> [Int32] {
            (3..<1_024).filter { number in
                var listens: Int32 = 0
                var length = socklen_t(MemoryLayout<Int32>.size)
                var address = sockaddr_in()
                var addressLength = socklen_t(MemoryLayout<sockaddr_in>.size)
                let isNamed = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        unsafe getsockname(number, $0, &addressLength) == 0
                    }
                }
                guard unsafe getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 else {
                    return false
                }
                return isNamed && listens == 1 && address.sin_port.byteSwapped == endpoint.port
            }
        }
    }
}
