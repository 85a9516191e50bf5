// The everyday tool by itself: what a peer sends and expects, what it shows when that does not come, and that it never
// hangs.

import AIO
import AIOKernel
import Testing

@testable import AIOTesting

/// Answers each line in capitals.
private actor Shout: ConnectionHandler {
    let connection: Connection
    private var text = ""

    init(_ connection: Connection) { self.connection = connection }

    func dataReceived(_ bytes: Bytes) async throws {
        text += String(decoding: bytes, as: UTF8.self)
        // A carriage return and a line feed are one character.
        while let end = text.firstIndex(of: "\r\n") {
            try await connection.write(Bytes(text[...end].uppercased()))
            text = String(text[text.index(after: end)...])
        }
    }
}

private func echo(_ connection: Connection) async throws {
    for try await bytes in connection.chunks { try await connection.write(bytes) }
}

@Suite struct MockPeerTests {
    @Test(.simulated(seeds: 0..<50)) func `an actor answers what came in two reads`() async throws {
        try await withMockPeer(Shout.init) { peer in
            try await peer.send("he")
            try await peer.send("llo\r\n")
            try await peer.expect("HELLO\r\n")
            peer.halfClose()
            try await peer.expectEnd()
        }
    }

    @Test(.simulated(seeds: 0..<50)) func `each send is a read of its own`() async throws {
        let reads = Reads()
        try await withMockPeer(serving: { connection in
            for try await bytes in connection.chunks { reads.add(bytes) }
        }) { peer in
            for part in ["a", "bc", "def", "g"] { try await peer.send(Bytes(part)) }
            peer.halfClose()
            try await peer.expectEnd()
        }
        #expect(reads.all == ["a", "bc", "def", "g"])
    }

    @Test(.simulated()) func `a byte at a time arrives so`() async throws {
        let reads = Reads()
        try await withMockPeer(
            arrival: .oneByteAtATime,
            serving: { connection in
                for try await bytes in connection.chunks { reads.add(bytes) }
            }
        ) { peer in
            try await peer.send("four")
            peer.halfClose()
            try await peer.expectEnd()
        }
        #expect(reads.all == ["f", "o", "u", "r"])
    }

    // MARK: What does not come

    @Test(.simulated()) func `a mismatch is shown with its place, and thrown`() async throws {
        try await withMockPeer(serving: echo) { peer in
            try await peer.send("hello, world\r\n")
            let mismatch = await mismatch { try await peer.expect("hello, World\r\n") }
            #expect(
                mismatch == """
                    expected "hello, World\\r\\n"
                         got "hello, world\\r\\n"
                                     ^ byte 7

                    """)
        }
    }

    @Test(.simulated()) func `a peer that is told less than it expects says so when the time is over`()
        async throws
    {
        try await withMockPeer(serving: echo) { peer in
            try await peer.send("he")
            let before = Simulation.current!.time.now
            let mismatch = await mismatch { try await peer.expect("hello", within: .seconds(5)) }
            #expect(mismatch?.contains("nothing more came for 5.0 seconds") == true)
            let after = Simulation.current!.time.now
            #expect(after.nanoseconds(since: before) / 1_000_000 == 5_000)
        }
    }

    @Test(.simulated()) func `an end that comes too early is shown as such`() async throws {
        try await withMockPeer(serving: { connection in try await connection.write("bye") }) { peer in
            let mismatch = await mismatch { try await peer.expect("bye-bye") }
            #expect(mismatch?.contains("the other side ended") == true)
        }
    }

    @Test(.simulated()) func `a reset is expected, and told from an end`() async throws {
        try await withMockPeer(serving: { connection in connection.abort() }) { peer in
            try await peer.expectReset()
        }
        try await withMockPeer(serving: { connection in }) { peer in
            let mismatch = await mismatch { try await peer.expectReset() }
            #expect(mismatch?.contains("the other side ended") == true)
        }
    }

    // MARK: Time

    @Test(.simulated()) func `an hour passes in no time`() async throws {
        try await withMockPeer(
            options: patient,
            serving: { connection in
                do {
                    try await connection.withTimeout(.seconds(3_600)) { _ = try await connection.read() }
                } catch let error as AIOError where error.code == .timedOut {
                    try await connection.write("too late")
                }
            }
        ) { peer in
            try await peer.expectSilence(for: .seconds(3_599))
            try await peer.expect("too late", within: .seconds(2))
        }
    }

    private var patient: ServerOptions {
        var options = ServerOptions()
        var limits = ConnectionLimits()
        limits.idleTimeout = .seconds(10_000)
        options.connection = limits
        return options
    }

    // MARK: Back-pressure

    @Test(.simulated(seeds: 0..<10))
    func `a stalled peer stops the handler, and one that goes on gets it all`()
        async throws
    {
        let written = Reads()
        let byteCount = 400_000
        try await withMockPeer(serving: { connection in
            var left = byteCount
            while left > 0 {
                let block = Bytes([UInt8](repeating: 7, count: min(left, 10_000)))
                try await connection.write(block)
                written.add(block)
                left -= block.count
            }
        }) { peer in
            peer.stall()
            await peer.settle()
            // Both sides' socket buffers, the queue up to its mark, and the block that waits.
            #expect(written.byteCount < 16_384 + 65_536 + 65_536 + 10_000)
            peer.resume()
            let received = try await peer.receiveToEnd()
            #expect(received.count == byteCount)
        }
    }

    @Test(.simulated(seeds: 0..<10))
    func `a peer that stalls after so many bytes has read these and no more`()
        async throws
    {
        try await withMockPeer(serving: { try await $0.write("0123456789") }) { peer in
            peer.stall(after: 4)
            try await peer.expect("0123")
            await peer.settle()
            #expect(peer.receivedByteCount == 4)
            peer.stall(after: 5)
            await peer.settle()
            #expect(peer.receivedByteCount == 9)
            peer.resume()
            #expect(try await peer.receiveToEnd() == "456789")
        }
    }

    // MARK: Trouble

    @Test(.simulated()) func `what the handler throws fails the test`() async throws {
        struct Broken: Error {}
        let error = await #expect(throws: SimulationError.self) {
            try await withMockPeer(serving: { _ in throw Broken() }) { peer in try await peer.expectEnd() }
        }
        #expect(error?.description.contains("Broken") == true)
    }

    @Test func `two runs of a seed have the same trace, and two seeds have not`() async throws {
        var digests: [UInt64] = []
        for seed in [1, 1, 2, 2, 3, 3] as [UInt64] {
            let simulation = Simulation(seed: seed)
            try await simulation.run { _ in
                try await withMockPeer(Shout.init, arrival: .drawn) { peer in
                    try await peer.send("one\r\ntwo\r\n")
                    try await peer.expect("ONE\r\nTWO\r\n")
                }
            }
            digests.append(simulation.trace.digest)
        }
        #expect(digests[0] == digests[1] && digests[2] == digests[3] && digests[4] == digests[5])
        #expect(Set(digests).count == 3)
    }
}

/// What an operation that records a mismatch showed.
private func mismatch(_ body: () async throws -> Void) async -> String? {
    var text: String?
    await withKnownIssue {
        do { try await body() } catch let error as PeerMismatch { text = error.description }
    }
    return text
}

/// What a handler read or wrote. Sendable, unchecked: of one simulation's thread.
private final class Reads: @unchecked Sendable {
    private(set) var all: [Bytes] = []
    func add(_ bytes: Bytes) { all.append(bytes) }
    var byteCount: Int { all.reduce(0) { $0 + $1.count } }
}
