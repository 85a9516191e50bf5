// The graceful end of a server: who may go on, for how long, and what the report says.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

extension Loopback {
    @Suite struct DrainTests {
        // MARK: Who may go on

        @Test(arguments: ServeTests.executors)
        func `idle connections end at once, and their handlers' loops in order`(executor: HandlerExecutor)
            async throws
        {
            try await withProactor(.testing()) { aio in
                let ends = Recorder<Int>()
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    try await connection.echo()
                    #expect(!Task.isCancelled)
                    try await connection.write("bye")
                    ends.add(1)
                }
                let endpoint = serving.endpoint
                let peers = try await onThread {
                    try (0..<20).map { _ in
                        let peer = try RawPeer(connectingTo: endpoint)
                        #expect(try peer.exchange("hello") == "hello")
                        return peer
                    }
                }
                serving.server.drain(within: .seconds(600))
                try await onThread { () throws in
                    for peer in peers {
                        #expect(try peer.receiveToEnd() == Array("bye".utf8))
                        peer.close()
                    }
                }
                let report = try await serving.report
                #expect(ends.count == 20)
                #expect(report == .of(accepted: 20, completed: 20, openAtDrain: 20))
            }
        }

        @Test(arguments: ServeTests.executors)
        func `a handler in the middle of something finishes it`(executor: HandlerExecutor) async throws {
            try await withProactor(.testing()) { aio in
                let gate = Gate()
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    for try await chunk in connection.chunks {
                        if chunk == "work" { await gate.wait() }
                        try await connection.write(chunk)
                    }
                }
                let endpoint = serving.endpoint
                let (busy, idle) = try await onThread {
                    let (busy, idle) = try (RawPeer(connectingTo: endpoint), RawPeer(connectingTo: endpoint))
                    #expect(try idle.exchange("idle") == "idle")
                    try busy.send("work")
                    return (busy, idle)
                }
                #expect(await eventually { gate.count == 1 })
                serving.server.drain(within: .seconds(600))
                try await onThread { () throws in
                    #expect(try idle.seesEnd())
                    idle.close()
                    #expect(try !busy.isReady(POLLIN, within: 20))
                }
                gate.open()
                try await onThread { () throws in
                    #expect(try busy.receiveToEnd() == Array("work".utf8))
                    busy.close()
                }
                #expect(try await serving.report == .of(accepted: 2, completed: 2, openAtDrain: 2))
            }
        }

        @Test func `half a message is waited for, and answered when the rest comes`() async throws {
            try await withProactor(.testing()) { aio in
                let serving = try await aio.serving { connection in
                    while let message = try await connection.read(exactly: 10) {
                        try await connection.write(message)
                    }
                }
                let endpoint = serving.endpoint
                let (half, idle) = try await onThread {
                    let (half, idle) = try (RawPeer(connectingTo: endpoint), RawPeer(connectingTo: endpoint))
                    for peer in [half, idle] { #expect(try peer.exchange("0123456789") == "0123456789") }
                    try half.send("01234")
                    return (half, idle)
                }
                #expect(await eventually { aio.statistics.total.bytesReceived == 25 })
                serving.server.drain(within: .seconds(600))
                try await onThread { () throws in
                    #expect(try idle.seesEnd())
                    try half.send("56789")
                    #expect(try half.receiveToEnd() == Array("0123456789".utf8))
                    half.close()
                    idle.close()
                }
                #expect(try await serving.report == .of(accepted: 2, completed: 2, openAtDrain: 2))
            }
        }

        // MARK: The deadline

        @Test(arguments: ServeTests.executors)
        func `the deadline cuts what is left, and cancels the handlers`(executor: HandlerExecutor)
            async throws
        {
            let reports = Recorder<Report>()
            try await withProactor(reporting(to: reports)) { aio in
                let (entered, cancelled) = (Recorder<Void>(), Recorder<String>())
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    let request = try await connection.read(exactly: 4)
                    entered.add(())
                    if request == "wait" {
                        try? await Task.sleep(for: .seconds(600))
                        if Task.isCancelled { cancelled.add("waiting") }
                        try Task.checkCancellation()
                    } else {
                        do {
                            _ = try await connection.read(exactly: 1_000)
                        } catch {
                            cancelled.add("reading")
                            throw error
                        }
                    }
                }
                let endpoint = serving.endpoint
                let peers = try await onThread {
                    let peers = try (0..<4).map { _ in try RawPeer(connectingTo: endpoint) }
                    for (index, peer) in peers.enumerated() {
                        try peer.send(index < 2 ? "wait" : "read and half")
                    }
                    return peers
                }
                #expect(
                    await eventually {
                        entered.count == 4 && aio.statistics.total.bytesReceived == 2 * 4 + 2 * 13
                    })
                serving.server.drain(within: .milliseconds(50))
                let report = try await serving.report
                #expect(cancelled.values.sorted() == ["reading", "reading", "waiting", "waiting"])
                #expect(report == .of(accepted: 4, failed: 4, openAtDrain: 4, cut: 4))
                try await onThread { () throws in
                    for peer in peers {
                        #expect(peer.seesReset())
                        peer.close()
                    }
                }
            }
        }

        @Test func `a second drain can only make the deadline earlier`() async throws {
            for (first, second) in [
                (Duration.seconds(600), Duration.milliseconds(50)), (.milliseconds(50), .seconds(600)),
            ] {
                try await withProactor(.testing { $0.report = { _ in } }) { aio in
                    let serving = try await aio.serving { _ = try await $0.read(exactly: 100) }
                    let peer = try RawPeer(connectingTo: serving.endpoint)
                    try peer.send("half")
                    #expect(await eventually { aio.statistics.total.bytesReceived == 4 })
                    serving.server.drain(within: first)
                    serving.server.drain(within: second)
                    #expect(try await serving.report == .of(accepted: 1, failed: 1, openAtDrain: 1, cut: 1))
                    peer.close()
                }
            }
        }

        /// As of a program that drains with each signal, or each failed health check.
        @Test
        func `a drain that is asked for again and again leaves one deadline, and an earlier one counts`()
            async throws
        {
            try await withProactor(.testing { $0.report = { _ in } }) { aio in
                let options = ServerOptions.testing { $0.drainFirstBytesTimeout = .seconds(600) }
                let serving = try await aio.serving(options) { _ = try await $0.read(exactly: 100) }
                let peer = try RawPeer(connectingTo: serving.endpoint)
                try peer.send("half")
                #expect(await eventually { aio.statistics.total.bytesReceived == 4 })
                for _ in 0..<100 { serving.server.drain(within: .seconds(300)) }
                // The deadline, and that for first bytes once the listeners have closed.
                #expect(await eventually { aio.engine.unhinderedCallsAheadCount == 2 })
                for _ in 0..<100 { serving.server.drain(within: .seconds(300)) }
                #expect(aio.engine.unhinderedCallsAheadCount == 2)
                serving.server.drain(within: .seconds(200))
                #expect(aio.engine.unhinderedCallsAheadCount == 3)
                aio.drain(within: .milliseconds(50))
                #expect(try await serving.report == .of(accepted: 1, failed: 1, openAtDrain: 1, cut: 1))
                peer.close()
            }
        }

        @Test(arguments: ServeTests.executors)
        func `cancelling serve cuts and cancels at once`(executor: HandlerExecutor) async throws {
            try await withProactor(.testing { $0.report = { _ in } }) { aio in
                let serving = try await aio.serving(.testing { $0.executor = executor }) {
                    try await $0.echo()
                }
                let endpoint = serving.endpoint
                let peers = try await onThread {
                    try (0..<10).map { _ in
                        let peer = try RawPeer(connectingTo: endpoint)
                        #expect(try peer.exchange("?") == "?")
                        return peer
                    }
                }
                serving.task.cancel()
                try await onThread { () throws in
                    for peer in peers {
                        #expect(peer.seesReset())
                        peer.close()
                    }
                }
                let report = try await serving.report
                #expect(report.accepted == 10 && report.completed + report.failed == 10)
                #expect(report.openAtDrain == 10 && report.cut == 10)
            }
        }

        // MARK: Who asks

        @Test func `aio.drain drains every server, and those that begin later`() async throws {
            try await withProactor(.testing()) { aio in
                let first = try await aio.serving { try await $0.echo() }
                let second = try await aio.serving(on: "unix:@aio-tests-drain") { try await $0.echo() }
                let late = try await aio.listen(on: "127.0.0.1:0")
                let (firstEndpoint, lateEndpoint) = (first.endpoint, late.endpoint)
                let peer = try await onThread {
                    let peer = try RawPeer(connectingTo: firstEndpoint)
                    #expect(try peer.exchange("?") == "?")
                    return peer
                }
                // In the kernel's queue, with its first bytes sent.
                let queued = try RawPeer(connectingTo: lateEndpoint)
                try queued.send("first bytes")
                aio.drain(within: .seconds(600))
                try await onThread { () throws in
                    #expect(try peer.seesEnd())
                    peer.close()
                }
                #expect(try await first.report == .of(accepted: 1, completed: 1, openAtDrain: 1))
                #expect(try await second.report == .of())
                async let lateReport = late.serve { try await $0.echo() }
                try await onThread { () throws in
                    #expect(try queued.receiveToEnd() == Array("first bytes".utf8))
                    queued.close()
                }
                let report = try await lateReport
                #expect(report.accepted == 1 && report.completed == 1 && report.cut == 0)
                #expect(isRefused(lateEndpoint))
            }
        }

        @Test func `a server that was drained before it was served ends at once, and listens no more`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                let server = try await aio.listen(on: "127.0.0.1:0")
                server.drain(within: .seconds(600))
                #expect(try await server.serve { try await $0.echo() } == .of())
                let isGone = await eventually { isRefused(server.endpoint) }
                #expect(isGone)
            }
        }

        @Test func `a signal drains, and a second one cuts`() async throws {
            try await withProactor(.testing { $0.report = { _ in } }) { aio in
                try aio.drain(on: [.user1, .user2], within: .seconds(600))
                let serving = try await aio.serving { connection in
                    while try await connection.read(exactly: 10) != nil {}
                }
                let endpoint = serving.endpoint
                let (half, idle) = try await onThread {
                    let (half, idle) = try (RawPeer(connectingTo: endpoint), RawPeer(connectingTo: endpoint))
                    try half.send("half")
                    try idle.send("0123456789")
                    return (half, idle)
                }
                #expect(await eventually { aio.statistics.total.bytesReceived == 14 })
                kill(getpid(), SIGUSR1)
                try await onThread { () throws in
                    #expect(try idle.seesEnd())
                    idle.close()
                    #expect(try !half.isReady(POLLIN, within: 20))
                }
                kill(getpid(), SIGUSR2)
                try await onThread { () throws in
                    #expect(half.seesReset())
                    half.close()
                }
                #expect(
                    try await serving.report
                        == .of(accepted: 2, completed: 1, failed: 1, openAtDrain: 2, cut: 1))
                #expect(throws: AIOError.self) { try aio.drain(on: [.user1]) }
            }
        }
    }
}

extension DrainReport {
    static func of(
        accepted: Int = 0, refused: Int = 0, completed: Int = 0, failed: Int = 0, openAtDrain: Int = 0,
        cut: Int = 0
    ) -> Self {
        var report = Self()
        (report.accepted, report.refused, report.completed) = (accepted, refused, completed)
        (report.failed, report.openAtDrain, report.cut) = (failed, openAtDrain, cut)
        return report
    }
}
