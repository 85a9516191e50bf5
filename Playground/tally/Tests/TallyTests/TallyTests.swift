import AIO
import AIOTesting
import Tally
import Testing

@Test func adds() async throws {
    try await withMockPeer(Tally.init) { peer in
        try await peer.send("add 2\n")
        try await peer.expect("2\n")
        try await peer.send("add 40\n")
        try await peer.expect("42\n")
    }
}

@Test func addsWhereverARequestIsSplit() async throws {
    try await withMockPeer(Tally.init, arrival: .everySplit) { peer in
        try await peer.send("add 2\nadd 40\nbye\n")
        try await peer.expect("2\n42\nbye\n")
        try await peer.expectEnd()
    }
}

@Test(.simulated(seeds: 0..<200)) func addsInAnyOrderOfThings() async throws {
    try await withMockPeer(Tally.init, arrival: .chaos) { peer in
        for number in 1...10 { try await peer.send("add \(number)\n") }
        try await peer.expect("1\n3\n6\n10\n15\n21\n28\n36\n45\n55\n")
        peer.halfClose()
        try await peer.expectEnd()
    }
}

@Test func saysWhatIsWrong() async throws {
    try await withMockPeer(Tally.init) { peer in
        try await peer.send("add\nadd x\nsubtract 1\n")
        try await peer.expect("error: add what?\nerror: add what?\nerror: add or bye\n")
        try await peer.send("add \(Int.max)\nadd 1\n")
        try await peer.expect("\(Int.max)\nerror: too much\n")
    }
}

@Test func aLineWithoutEndIsRefused() async throws {
    try await withMockPeer(Tally.init) { peer in
        try await peer.send(Bytes([UInt8](repeating: UInt8(ascii: "a"), count: 101)))
        try await peer.expect("error: line too long\n")
        try await peer.expectEnd()
    }
}

@Test(.simulated(seeds: 0..<50)) func stopsReadingWhenNobodyReadsItsAnswers() async throws {
    try await withMockPeer(Tally.init) { peer in
        try await peer.expectBackpressure(atMost: 1_000_000, sending: "add 1\n")
        peer.reset()
    }
}

@Test func whoSaysNothingIsCutAfterTenMinutes() async throws {
    try await withSimulation { world in
        let start = world.clock.now
        try await withMockPeer(Tally.init) { peer in
            try await peer.expectEnd(within: .seconds(900))
        }
        #expect(start.duration(to: world.clock.now) >= .seconds(600))
    }
}

@Test(.simulated(seeds: 0..<50)) func eachPeerHasASumOfItsOwn() async throws {
    try await withMockServer(Tally.init) { server in
        let a = try await server.connect(), b = try await server.connect()
        try await a.send("add 1\n")
        try await b.send("add 5\n")
        try await a.expect("1\n")
        try await b.expect("5\n")
    }
}

@Test(.simulated(seeds: 0..<20)) func aConnectionSurvivesAMinuteWithoutNetwork() async throws {
    try await withSimulation { world in
        let server = world.host("server"), client = world.host("client")
        world.conditions = LinkConditions(latency: .milliseconds(5) ... .milliseconds(20))
        server.run { aio in try await aio.serve(on: "*:7009", handler: Tally.init) }
        try await world.advance(by: .milliseconds(1))

        let peer = try await client.connect(to: "server:7009")
        try await peer.send("add 1\n")
        try await peer.expect("1\n")
        let cut = world.partition([client], from: [server])
        world.schedule(after: .seconds(60)) { cut.heal() }
        try await peer.send("add 2\n")
        try await peer.expect("3\n", within: .seconds(61))
        peer.close()
    }
}
