// Connections that come as a server drains: what was accepted is served, and no request that was read is lost.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

extension Loopback {
    @Suite struct DrainAcceptTests {
        @Test func `connections in the kernel's queue at the drain are accepted and served`() async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let gate = ThreadGate()
                let serving = try await aio.serving { connection in
                    for try await chunk in connection.chunks {
                        if chunk == "block" { gate.wait() }
                        try await connection.write(chunk)
                    }
                }
                let endpoint = serving.endpoint
                let blocking = try RawPeer(connectingTo: endpoint)
                try blocking.send("block")
                #expect(await eventually { gate.count == 1 })
                // The worker cannot accept these before it is asked to drain.
                let peers = try (0..<20).map { _ in try RawPeer(connectingTo: endpoint) }
                for peer in peers { try peer.send("queued") }
                serving.server.drain(within: .seconds(600))
                gate.open()
                try await onThread { () throws in
                    for peer in peers {
                        #expect(try peer.receiveToEnd() == Array("queued".utf8))
                        peer.close()
                    }
                    #expect(try blocking.receiveToEnd() == Array("block".utf8))
                    blocking.close()
                }
                let report = try await serving.report
                #expect(report == .of(accepted: 21, completed: 21, openAtDrain: report.openAtDrain))
            }
        }

        @Test func `a fresh connection may send its first request while the server drains`() async throws {
            try await withProactor(.testing()) { aio in
                let options = ServerOptions.testing { $0.drainFirstBytesTimeout = .seconds(600) }
                let serving = try await aio.serving(options) { try await $0.echo() }
                let endpoint = serving.endpoint
                let (fresh, used) = try await onThread {
                    let (fresh, used) = try (RawPeer(connectingTo: endpoint), RawPeer(connectingTo: endpoint))
                    #expect(try used.exchange("used") == "used")
                    return (fresh, used)
                }
                #expect(await eventually { aio.statistics.connections == 2 })
                serving.server.drain(within: .seconds(600))
                try await onThread { () throws in
                    #expect(try used.seesEnd())
                    #expect(try !fresh.isReady(POLLIN, within: 20))
                    try fresh.send("first and last")
                    #expect(try fresh.receiveToEnd() == Array("first and last".utf8))
                    fresh.close()
                    used.close()
                }
                #expect(try await serving.report == .of(accepted: 2, completed: 2, openAtDrain: 2))
            }
        }

        @Test(arguments: ServeTests.executors)
        func `a fresh connection that stays silent is closed after the time for first bytes`(
            executor: HandlerExecutor
        ) async throws {
            try await withProactor(.testing()) { aio in
                let options = ServerOptions.testing {
                    $0.drainFirstBytesTimeout = .milliseconds(50)
                    $0.executor = executor
                }
                let serving = try await aio.serving(options) { try await $0.echo() }
                let peers = try (0..<10).map { _ in try RawPeer(connectingTo: serving.endpoint) }
                #expect(await eventually { aio.statistics.connections == 10 })
                serving.server.drain(within: .seconds(600))
                try await onThread { () throws in
                    for peer in peers {
                        #expect(try peer.seesEnd(), "an end, and no reset")
                        peer.close()
                    }
                }
                #expect(try await serving.report == .of(accepted: 10, completed: 10, openAtDrain: 10))
            }
        }

        @Test(arguments: ServeTests.executors)
        func `a drain under load loses no request that a handler has read`(executor: HandlerExecutor)
            async throws
        {
            let requestsBeforeDrain = isSanitized ? 200 : 1_000
            for _ in 0..<(isSanitized ? 2 : 5) {
                try await withProactor(.testing()) { aio in
                    let read = Recorder<String>()
                    let replied = Recorder<String>()
                    let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                        while let request = try await connection.read(exactly: 8) {
                            read.add(String(decoding: Array(request), as: UTF8.self))
                            await Task.yield()
                            try await connection.write(request)
                        }
                    }
                    let endpoint = serving.endpoint
                    async let clients: Void = withThrowingTaskGroup(of: Void.self) { clients in
                        for index in 0..<6 {
                            let client = LoadClient(index: index, endpoint: endpoint, replied: replied)
                            clients.addTask {
                                try await onThread { index % 2 == 0 ? client.runKept() : client.runAnew() }
                            }
                        }
                        try await clients.waitForAll()
                    }
                    #expect(await eventually { replied.count >= requestsBeforeDrain })
                    let report = try await serving.drained()
                    try await clients
                    let lost = Set(read.values).subtracting(replied.values)
                    #expect(lost.isEmpty)
                    #expect(read.count == Set(read.values).count && replied.count == read.count)
                    #expect(report.failed == 0 && report.cut == 0 && report.completed == report.accepted)
                }
            }
        }

        @Test func `a drain and connections that come at the same moment agree on who was accepted`()
            async throws
        {
            for round in 0..<(isSanitized ? 10 : 50) {
                try await withProactor(.testing { $0.workerCount = 1 + round % 3 }) { aio in
                    let options = ServerOptions.testing { $0.sharesListener = round % 2 == 0 }
                    let serving = try await aio.serving(options) { try await $0.echo() }
                    let endpoint = serving.endpoint
                    async let served = onThread {
                        var count = 0
                        while let peer = try? RawPeer(connectingTo: endpoint) {
                            defer { peer.close() }
                            guard (try? peer.exchange("request")) == "request" else { break }
                            count += 1
                        }
                        return count
                    }
                    #expect(await eventually { aio.statistics.total.accepted > round % 7 })
                    let report = try await serving.drained()
                    let count = try await served
                    #expect(report.completed == report.accepted && report.failed == 0 && report.cut == 0)
                    #expect(report.accepted >= count && report.accepted <= count + 1)
                }
            }
        }
    }
}

/// Sends requests of eight bytes until the server is gone, and records those that were answered.
private struct LoadClient: Sendable {
    let index: Int
    let endpoint: Endpoint
    let replied: Recorder<String>

    private func request(_ number: Int) -> String {
        let digits = "\(index * 1_000_000 + number)"
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// One connection, and a new one when the server ends it.
    func runKept() {
        var number = 0
        while let peer = try? RawPeer(connectingTo: endpoint) {
            defer { peer.close() }
            while true {
                let text = request(number)
                number += 1
                guard (try? peer.exchange(text)) == text else { break }
                replied.add(text)
            }
        }
    }

    /// A connection for each request.
    func runAnew() {
        var number = 0
        while let peer = try? RawPeer(connectingTo: endpoint) {
            defer { peer.close() }
            let text = request(number)
            number += 1
            if (try? peer.exchange(text)) == text { replied.add(text) }
        }
    }
}
