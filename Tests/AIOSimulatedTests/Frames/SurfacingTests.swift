// Connections of which the program hears with their first frame, or never; and those that the kernel keeps back.

import AIO
import AIOTesting
import Testing

@Suite struct SurfacingTests {
    /// Rules by the first word.
    private static let verbs: FrameFilter = {
        let rules: [FilterRule] = [
            .pass(.word("HELLO"), named: "hello"),
            .reply("later\n", to: .word("NOOP"), named: "noop"),
            .drop(.exactly(""), named: "empty"),
            .replyAndClose("bye\n", to: .word("QUIT"), named: "quit"),
        ]
        return try! FrameFilter(judging: .everyFrame, otherwise: .close, rules: rules)
    }()

    private static func options(
        _ executor: HandlerExecutor = .worker, filter: FrameFilter? = verbs,
        _ change: (inout ConnectionLimits) -> Void = { _ in }
    ) -> ServerOptions {
        .testing(executor) {
            $0.framing = .lines(byteCountMax: 20)
            $0.filter = filter
            $0.surfacing = .onFirstFrame
            $0.connection = .testing(change)
        }
    }

    private static let echo: @Sendable (Connection) async throws -> Void = { connection in
        for try await line in connection.lines { try await connection.write("<\(line)>") }
    }

    @Test(.simulated(seeds: 0..<50), arguments: HandlerExecutor.all)
    func `a handler begins with the first frame that passes, and what was answered before has been answered`(
        executor: HandlerExecutor
    ) async throws {
        try await withServerHost { world, aio in
            let begun = Log<Int>()
            let server = try await aio.serving(Self.options(executor)) { connection in
                begun.add(1)
                try await Self.echo(connection)
            }
            let peer = try await server.connect(arrival: .oneByteAtATime)
            try await peer.send("NOOP\n\nNOOP\nHELL")
            try await peer.expect("later\nlater\n")
            await world.settle()
            #expect(begun.count == 0)
            try await peer.send("O 1\nNOOP\nHELLO 2\n")
            try await peer.expect("<HELLO 1>later\n<HELLO 2>")
            #expect(begun.count == 1)
            peer.halfClose()
            try await peer.expectEnd()
            let report = try await server.drained()
            #expect(report.accepted == 1 && report.completed == 1 && report.unsurfaced == 0)
            let counts = try #require(report.filterCounts)
            #expect(counts["hello"] == 2 && counts["noop"] == 3 && counts["empty"] == 1 && counts.total == 6)
        }
    }

    enum Failing: String, CaseIterable {
        case nothing, half, answeredOnly, refused, quits, tooLong, reset
    }

    @Test(.simulated(seeds: 0..<30), arguments: Failing.allCases)
    func `of a connection without a frame that passes the program hears nothing`(_ failing: Failing)
        async throws
    {
        try await withServerHost { world, aio in
            let begun = Log<Int>()
            let server = try await aio.serving(Self.options()) { _ in begun.add(1) }
            let peer = try await server.connect(arrival: .drawn)
            switch failing {
            case .nothing: peer.halfClose()
            case .half:
                try await peer.send("NOT A LINE")
                peer.halfClose()
            case .answeredOnly:
                try await peer.send("NOOP\n")
                peer.halfClose()
                try await peer.expect("later\n")
            case .refused: try await peer.send("BOGUS\nHELLO\n")
            case .quits:
                try await peer.send("QUIT\nHELLO\n")
                try await peer.expect("bye\n")
            case .tooLong: try await peer.send(Bytes(String(repeating: "x", count: 30)))
            case .reset:
                try await peer.send("HELL")
                peer.reset()
            }
            if failing != .reset { try await peer.expectEnd() }
            peer.close()
            await world.settle()
            #expect(aio.statistics.connections == 0)
            let report = try await server.drained()
            #expect(begun.count == 0 && report.accepted == 1 && report.unsurfaced == 1)
            #expect(report.completed == 0 && report.failed == 0)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `the first frame's time begins with the connection`() async throws {
        try await withServerHost { world, aio in
            let server = try await aio.serving(Self.options { $0.frameTimeout = .seconds(7) }, Self.echo)
            let silent = try await server.connect(), slow = try await server.connect()
            let start = world.clock.now
            try await slow.expectSilence(for: .seconds(5))
            try await slow.send("HEL")
            try await silent.expectEnd()
            try await slow.expectEnd()
            #expect(world.time(since: start).isAbout(.seconds(7)))
            for peer in [silent, slow] { peer.close() }
            #expect(try await server.drained().unsurfaced == 2)
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.all)
    func `a drain waits for half of a first frame, and not for one that has not begun`(
        executor: HandlerExecutor
    ) async throws {
        try await withServerHost { world, aio in
            let options = Self.options(executor)
            let server = try await aio.serving(options, Self.echo)
            let idle = try await server.connect(), half = try await server.connect()
            try await half.send("HEL")
            await world.settle()
            let start = world.clock.now
            server.server.drain(within: .seconds(600))
            try await idle.expectEnd()
            idle.close()
            #expect(world.time(since: start).isAbout(options.drainFirstBytesTimeout))
            try await half.send("LO\n")
            try await half.expect("<HELLO>")
            try await half.expectEnd()
            half.close()
            let report = try await server.report
            #expect(report.completed == 1 && report.unsurfaced == 1 && report.cut == 0)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a cut takes those along that have not surfaced`() async throws {
        try await withServerHost { world, aio in
            let server = try await aio.serving(Self.options(), Self.echo)
            let peer = try await server.connect()
            try await peer.send("HEL")
            await world.settle()
            let report = try await server.drained(within: .zero)
            #expect(report.cut == 1 && report.unsurfaced == 1)
            try await peer.expectReset()
        }
    }

    @Test(.simulated(seeds: 0..<100)) func `one that comes to its worker behind the cut does not stay`()
        async throws
    {
        try await withServerHost { world, aio in
            var options = Self.options()
            options.sharesListener = true
            let server = try await aio.serving(options, Self.echo)
            // Some are accepted by one worker, and on their way to the other, when the server is cut.
            let peers = try await server.connect(6)
            let start = world.clock.now
            let report = try await server.drained(within: .zero)
            #expect(world.time(since: start) < .seconds(1))
            #expect(report.accepted == report.unsurfaced)
            for peer in peers { peer.close() }
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `events begin with the first frame, too`() async throws {
        try await withServerHost { world, aio in
            let listener = try await aio.events.listen(
                on: "*:80", framing: .lines(), filter: Self.verbs, surfacing: .onFirstFrame)
            let bad = try await world.host("client").connect(to: "server:80")
            let good = try await world.host("client").connect(to: "server:80", arrival: .oneByteAtATime)
            try await bad.send("BOGUS\n")
            try await bad.expectEnd()
            bad.close()
            try await good.send("NOOP\nHELLO\n")
            good.halfClose()
            var kinds: [String] = []
            for await event in aio.events {
                kinds.append(event.kind)
                if case .closed = event { break }
            }
            #expect(kinds == ["accepted", "received", "peerHalfClosed", "closed"])
            try await good.expect("later\n")
            try await good.expectEnd()
            good.close()
            await world.settle()
            #expect(listener.filterCounts?.otherwise == 1)
            #expect(aio.statistics.connections == 0)
        }
    }

    @Test func `to surface with the first frame takes a framing`() async throws {
        try await withServerHost { _, aio in
            var options = ServerOptions()
            options.surfacing = .onFirstFrame
            #expect(await code { _ = try await aio.listen(on: "*:80", options: options) } == .invalidArgument)
            #expect(
                await code { _ = try await aio.events.listen(on: "*:80", surfacing: .onFirstFrame) }
                    == .invalidArgument)
            #expect(
                await code { _ = try await aio.events.listen(on: "*:80", filter: Self.verbs) }
                    == .invalidArgument)
        }
    }

    // MARK: What the kernel keeps back

    @Test(.simulated(seeds: 0..<20))
    func `a deferred connection is accepted with its first bytes, or in time`()
        async throws
    {
        try await withServerHost { world, aio in
            let server = try await aio.serving(.testing { $0.deferAccept = .milliseconds(4_100) }) {
                try await $0.echo()
            }
            let start = world.clock.now
            let talker = try await server.connect(), silent = try await server.connect()
            await world.settle()
            #expect(aio.statistics.total.accepted == 0)
            try await talker.exchange("hello")
            #expect(aio.statistics.total.accepted == 1)
            try await world.wait(for: "the other", within: .seconds(6)) {
                aio.statistics.total.accepted == 2
            }
            #expect(world.time(since: start).isAbout(.seconds(5)))
            for peer in [talker, silent] { peer.close() }
            #expect(try await server.drained().completed == 2)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a listener that closes resets whom the kernel has kept back`()
        async throws
    {
        try await withServerHost { world, aio in
            let server = try await aio.serving(.testing { $0.deferAccept = .seconds(60) }) { _ in }
            let silent = try await server.connect()
            #expect(try await server.drained().accepted == 0)
            try await silent.expectReset()
        }
    }

    @Test func `what cannot be deferred is refused`() async throws {
        try await withServerHost { _, aio in
            for (endpoint, patience) in [
                ("*:80", Duration.zero), ("*:80", .seconds(-1)), ("*:80", .seconds(3_601)),
                ("unix:/run/x", .seconds(1)),
            ] {
                var options = ServerOptions()
                options.deferAccept = patience
                #expect(
                    await code { _ = try await aio.listen(on: endpoint, options: options) }
                        == .invalidArgument)
            }
        }
    }
}
