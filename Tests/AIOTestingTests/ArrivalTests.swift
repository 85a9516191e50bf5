// The presets that need more than a link: every place to split at, and chaos.

import AIO
import SystemPackage
import Testing

@testable import AIOTesting

/// Sendable, unchecked: of one simulation's thread.
private final class Count: @unchecked Sendable {
    var runs = 0
    var reads: Set<[Int]> = []
}

@Suite struct ArrivalTests {
    @Test(.simulated(seeds: 0..<5)) func `every split runs the body once for each place, and once as sent`()
        async throws
    {
        let count = Count()
        try await withMockPeer(
            arrival: .everySplit,
            serving: { connection in
                var lengths: [Int] = []
                for try await bytes in connection.chunks { lengths.append(bytes.count) }
                count.reads.insert(lengths)
            }
        ) { peer in
            count.runs += 1
            try await peer.send("abc")
            try await peer.send("de")
            peer.halfClose()
            try await peer.expectEnd()
        }
        #expect(count.runs == 5)
        #expect(count.reads == [[3, 2], [1, 2, 2], [2, 1, 2], [3, 1, 1]])
    }

    @Test func `each of several peers is split in its turn`() async throws {
        let count = Count()
        try await withMockServer(serving: { for try await _ in $0.chunks {} }) { server in
            count.runs += 1
            for text in ["ab", "cde"] as [Bytes] {
                let peer = try await server.connect(arrival: .everySplit)
                try await peer.send(text)
            }
            let third = try await server.connect()
            try await third.send("not split")
        }
        #expect(count.runs == 1 + 1 + 2)
    }

    @Test func `a handler that takes a read for a message fails, and the place of the split is told`()
        async throws
    {
        var text = ""
        await withKnownIssue {
            do {
                try await withMockPeer(
                    arrival: .everySplit,
                    serving: { connection in
                        for try await bytes in connection.chunks where bytes == "hello" {
                            try await connection.write("hi")
                        }
                    }
                ) { peer in
                    try await peer.send("hello")
                    try await peer.expect("hi", within: .seconds(1))
                }
            } catch let mismatch as PeerMismatch { text = mismatch.description }
        }
        #expect(text.contains("split at byte 1"))
    }

    @Test func `too many places are an error, and not a sample`() async throws {
        await #expect(throws: SimulationError.self) {
            try await withMockPeer(
                arrival: .everySplit, serving: { for try await _ in $0.chunks {} }
            ) { peer in try await peer.send(Bytes([UInt8](repeating: 0, count: 5_000))) }
        }
    }

    @Test(.simulated(seeds: 0..<100)) func `in chaos every byte arrives, in order, both ways`() async throws {
        let sent = Bytes((0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        try await withMockPeer(
            arrival: .chaos,
            serving: { connection in
                for try await bytes in connection.chunks { try await connection.write(bytes) }
            }
        ) { peer in
            try await peer.send(sent)
            try await peer.expect(sent)
            peer.halfClose()
            try await peer.expectEnd()
        }
    }

    @Test func `chaos cuts reads into many different pieces, and disturbs reads and writes`() async throws {
        let count = Count()
        var faults = 0
        for seed in 0..<20 as Range<UInt64> {
            let simulation = Simulation(seed: seed)
            try await simulation.run { _ in
                try await withMockPeer(
                    arrival: .chaos,
                    serving: { connection in
                        var lengths: [Int] = []
                        for try await bytes in connection.chunks {
                            lengths.append(bytes.count)
                            try await connection.write(bytes)
                        }
                        count.reads.insert(lengths)
                    }
                ) { peer in
                    try await peer.send("0123456789")
                    try await peer.expect("0123456789")
                    peer.halfClose()
                    try await peer.expectEnd()
                }
            }
            faults += simulation.trace.lines.count {
                $0.what == "recv" && $0.result == -Int(Errno.resourceTemporarilyUnavailable.rawValue)
            }
        }
        #expect(count.reads.count > 8)
        #expect(faults > 5)
    }
}
