// More connections than a server or a proactor takes: what the peers in excess see, and when others may come.

import AIO
import AIOTesting
import Testing

@Suite struct OverloadTests {
    private static let refusals: [ServerOptions.Refusal] = [.close, .reset, .reply("421 too many\r\n")]

    @Test(.simulated(seeds: 0..<10), arguments: refusals, HandlerExecutor.all)
    func `who comes above the limit sees what was chosen, and who leaves makes room`(
        refusal: ServerOptions.Refusal, executor: HandlerExecutor
    ) async throws {
        try await withServerHost { world, aio in
            let options = ServerOptions.testing(executor) {
                $0.connectionsMax = 3
                $0.refusal = refusal
            }
            let server = try await aio.serving(options) { try await $0.echo() }
            let inside = try await server.connect(3)
            for peer in inside { try await peer.exchange("in") }
            for _ in 0..<5 {
                let outside = try await server.connect()
                try await Self.expect(refusal, at: outside)
                outside.close()
            }
            for peer in inside { try await peer.exchange("still in") }
            inside[0].halfClose()
            try await inside[0].expectEnd()
            // Closed a moment after its peer saw the end: until then it has its place.
            await world.settle()
            let next = try await server.connect()
            try await next.exchange("next")
            for peer in inside + [next] { peer.close() }
            let report = try await server.drained()
            #expect(report == .of(accepted: 4, refused: 5, completed: 4, openAtDrain: report.openAtDrain))
            // Those that were sent a reply linger until their peers' ends are seen.
            await world.settle()
            #expect(aio.statistics.connections == 0)
        }
    }

    private static func expect(_ refusal: ServerOptions.Refusal, at peer: MockPeer) async throws {
        switch refusal {
        case .close: try await peer.expectEnd()
        case .reset: try await peer.expectReset()
        case .reply(let reply):
            try await peer.expect(reply)
            try await peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `the limit an address counts each address for itself`() async throws
    {
        try await withServerHost { world, aio in
            let options = ServerOptions.testing {
                $0.connectionsPerPeerMax = 2
                $0.refusal = .reply("no")
            }
            let server = try await aio.serving(options) { try await $0.echo() }
            var inside: [String: [MockPeer]] = [:]
            for client in ["a", "b"] {
                let peers = [try await server.connect(from: client), try await server.connect(from: client)]
                for peer in peers { try await peer.exchange("in") }
                let third = try await server.connect(from: client)
                try await third.expect("no")
                try await third.expectEnd()
                third.close()
                inside[client] = peers
            }
            // The place that is free is of its address.
            inside["a"]![0].close()
            await world.settle()
            try await server.connect(from: "b").expect("no")
            let next = try await server.connect(from: "a")
            try await next.exchange("in")
            for peer in inside["b"]! { try await peer.exchange("still in") }
            try await server.connect(from: "a").expect("no")
            let report = try await server.drained()
            #expect(report == .of(accepted: 5, refused: 4, completed: 5, openAtDrain: 4))
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `peers without an address are not counted`() async throws {
        try await withServerHost { world, aio in
            let options = ServerOptions.testing { $0.connectionsPerPeerMax = 1 }
            let server = try await aio.serving(options, on: "unix:@per-peer") { try await $0.echo() }
            var peers: [MockPeer] = []
            for _ in 0..<5 { peers.append(try await server.connect(from: "server")) }
            for peer in peers { try await peer.exchange("in") }
            for peer in peers { peer.close() }
            let report = try await server.drained()
            #expect(report.accepted == 5 && report.completed == 5 && report.refused == 0)
        }
    }

    @Test(.simulated(seeds: 0..<50))
    func `at the proactor's limit the kernel holds who comes, and they are served later`() async throws {
        try await withServerHost(workers: 1, configure: { $0.connectionsMax = 2 }) { world, aio in
            let served = Log<Endpoint>()
            let server = try await aio.serving {
                served.add($0.peer)
                try await $0.echo()
            }
            var waiting = try await server.connect(6)
            for peer in waiting { try await peer.send("x") }
            await world.settle()
            // Handshakes may overtake each other.
            for remaining in (1...6).reversed() {
                #expect(aio.statistics.connections == min(2, remaining))
                #expect(served.count == 6 - remaining + min(2, remaining))
                #expect(waiting.count { $0.receivedByteCount == 1 } == min(2, remaining))
                let index = try #require(waiting.firstIndex { $0.receivedByteCount == 1 })
                waiting.remove(at: index).close()
                await world.settle()
            }
            let report = try await server.drained()
            #expect(report == .of(accepted: 6, completed: 6))
            #expect(aio.statistics.connections == 0 && aio.statistics.total.acceptPauses > 0)
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `connections that come all at once never pass the limit`()
        async throws
    {
        let connectionsMax = 4
        try await withServerHost(workers: 4) { world, aio in
            let options = ServerOptions.testing { $0.connectionsMax = connectionsMax }
            let open = Level()
            let server = try await aio.serving(options) { connection in
                open.rise()
                for try await _ in connection.chunks {}
                open.fall()
            }
            for _ in 0..<3 {
                let peers = try await server.connect(12)
                await world.settle()
                #expect(open.now == connectionsMax)
                for peer in peers { peer.close() }
                await world.settle()
                #expect(open.now == 0)
            }
            #expect(open.highest == connectionsMax)
            let report = try await server.drained()
            #expect(report == .of(accepted: 12, refused: 24, completed: 12))
            #expect(aio.statistics.total.accepted == 36)
        }
    }
}

/// How many are inside, and how many were at most. Sendable, unchecked: of one simulation's thread.
private final class Level: @unchecked Sendable {
    private(set) var now = 0
    private(set) var highest = 0

    func rise() {
        now += 1
        highest = max(highest, now)
    }

    func fall() { now -= 1 }
}
