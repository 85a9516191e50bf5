// More connections than a server or a proactor takes: what the peers in excess see, and when others may come.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

extension Loopback {
    @Suite struct OverloadTests {
        private static let refusals: [ServerOptions.Refusal] = [.close, .reset, .reply("421 too many\r\n")]

        @Test(arguments: refusals, ServeTests.executors)
        func `who comes above the limit sees what was chosen, and who leaves makes room`(
            refusal: ServerOptions.Refusal, executor: HandlerExecutor
        ) async throws {
            try await withProactor(.testing()) { aio in
                let options = ServerOptions.testing {
                    $0.connectionsMax = 3
                    $0.refusal = refusal
                    $0.executor = executor
                }
                let serving = try await aio.serving(options) { try await $0.echo() }
                let endpoint = serving.endpoint
                let refusedCount = try await onThread {
                    let inside = try (0..<3).map { _ in try RawPeer(connectingTo: endpoint) }
                    for peer in inside { #expect(try peer.exchange("in") == "in") }
                    for _ in 0..<5 {
                        // A reset may come before the caller looks whether it is connected.
                        let outside = try RawPeer(connectingTo: endpoint, waits: false)
                        try Self.expect(refusal, at: outside)
                        outside.close()
                    }
                    for peer in inside { #expect(try peer.exchange("still in") == "still in") }
                    inside[0].finish()
                    #expect(try inside[0].seesEnd())
                    inside[0].close()
                    // Closed a moment after its peer saw the end: until then refusals go on.
                    var refusedCount = 5
                    while true {
                        let next = try RawPeer(connectingTo: endpoint, waits: false)
                        defer { next.close() }
                        try next.wait(for: POLLOUT)
                        if (try? next.exchange("next")) == "next" { break }
                        refusedCount += 1
                    }
                    for peer in inside { peer.close() }
                    return refusedCount
                }
                let report = try await serving.drained()
                #expect(report.accepted == 4 && report.completed == 4)
                #expect(report.refused == refusedCount)
                // Those that were sent a reply linger until their peers' ends are seen.
                #expect(await eventually { aio.statistics.connections == 0 })
            }
        }

        private static func expect(_ refusal: ServerOptions.Refusal, at peer: RawPeer) throws {
            switch refusal {
            case .close: #expect(try peer.seesEnd())
            case .reset: #expect(peer.seesReset())
            case .reply(let reply):
                #expect(try Bytes(peer.receiveToEnd()) == reply)
            }
        }

        @Test func `the limit an address counts each address for itself`() async throws {
            try await withProactor(.testing()) { aio in
                let options = ServerOptions.testing {
                    $0.connectionsPerPeerMax = 2
                    $0.refusal = .reply("no")
                }
                let serving = try await aio.serving(options, on: "*:0") { try await $0.echo() }
                let endpoint = serving.endpoint.reachable
                try await onThread { () throws in
                    for address in ["127.0.0.1", "127.0.0.2"] {
                        let peers = try (0..<2).map { _ in try peer(connectingTo: endpoint, from: address) }
                        for peer in peers { #expect(try peer.exchange("in") == "in") }
                        let third = try peer(connectingTo: endpoint, from: address)
                        #expect(try third.receiveToEnd() == Array("no".utf8))
                        third.close()
                        for peer in peers { #expect(try peer.exchange("in") == "in") }
                        peers[0].close()
                        // Its place is free once the server has seen the end.
                        while true {
                            let next = try peer(connectingTo: endpoint, from: address)
                            defer { next.close() }
                            let answer = try next.exchange("in")
                            if answer == "in" { break }
                            #expect(answer == "no")
                        }
                        // The other stays, and counts against its own address only.
                        if address == "127.0.0.2" { peers[1].close() }
                    }
                }
                let report = try await serving.drained(within: .milliseconds(100))
                #expect(report.accepted == 6 && report.refused >= 2)
            }
        }

        @Test func `peers without an address are not counted`() async throws {
            try await withProactor(.testing()) { aio in
                let options = ServerOptions.testing { $0.connectionsPerPeerMax = 1 }
                let serving = try await aio.serving(options, on: "unix:@aio-tests-per-peer") {
                    try await $0.echo()
                }
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let peers = try (0..<5).map { _ in try RawPeer(connectingTo: endpoint) }
                    for peer in peers { #expect(try peer.exchange("in") == "in") }
                    for peer in peers { peer.close() }
                }
                let report = try await serving.drained()
                #expect(report.accepted == 5 && report.completed == 5 && report.refused == 0)
            }
        }

        @Test func `at the proactor's limit the kernel holds who comes, and they are served later`()
            async throws
        {
            let configuration = Proactor.Configuration.testing {
                $0.workerCount = 1
                $0.connectionsMax = 2
            }
            try await withProactor(configuration) { aio in
                let served = Recorder<Int>()
                let serving = try await aio.serving {
                    served.add(1)
                    try await $0.echo()
                }
                let endpoint = serving.endpoint
                let peers = try await onThread {
                    let peers = try (0..<6).map { _ in try RawPeer(connectingTo: endpoint) }
                    for peer in peers { try peer.send("x") }
                    return peers
                }
                #expect(await eventually { aio.statistics.total.acceptPauses > 0 && served.count == 2 })
                try await onThread { () throws in
                    #expect(try !peers[2].isReady(POLLIN, within: 20))
                    for peer in peers {
                        #expect(try peer.receiveText(1) == "x")
                        #expect(aio.statistics.connections <= 2)
                        peer.close()
                    }
                }
                let report = try await serving.drained()
                #expect(report.accepted == 6 && report.completed == 6 && report.refused == 0)
                #expect(aio.statistics.connections == 0)
            }
        }

        @Test func `connections that come all at once never pass the limit`() async throws {
            let connectionsMax = 4
            try await withProactor(.testing { $0.workerCount = 4 }) { aio in
                let options = ServerOptions.testing { $0.connectionsMax = connectionsMax }
                let open = Recorder<Int>()
                let serving = try await aio.serving(options) { connection in
                    open.add(1)
                    if open.values.reduce(0, +) > connectionsMax {
                        Issue.record("more than \(connectionsMax)")
                    }
                    for try await _ in connection.chunks {}
                    open.add(-1)
                }
                let endpoint = serving.endpoint
                for _ in 0..<(isSanitized ? 5 : 20) {
                    try await withThrowingTaskGroup(of: Void.self) { clients in
                        for _ in 0..<4 {
                            clients.addTask {
                                try await onThread { () throws in
                                    let peers = (0..<8).compactMap { _ in try? RawPeer(connectingTo: endpoint)
                                    }
                                    for peer in peers { peer.close() }
                                }
                            }
                        }
                        try await clients.waitForAll()
                    }
                }
                let report = try await serving.drained()
                #expect(report.accepted + report.refused == Int(aio.statistics.total.accepted))
                #expect(report.completed == report.accepted)
            }
        }
    }
}
