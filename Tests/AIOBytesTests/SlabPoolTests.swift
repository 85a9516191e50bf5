// Receiving into slabs, copying leftovers out, and counting what is held.

import AIOBytes
import Testing

@Suite struct SlabPoolTests {
    @Test func `Ten thousand receives of one byte share one slab`() {
        let pool = SlabPool()
        let all = (0..<10_000).map { pool.receive(pattern(1, from: $0)) }
        #expect(pool.liveSlabCount == 1)
        #expect(pool.holdings() == (65_536, 10_000))
        var joined = all[0]
        for bytes in all.dropFirst() {
            joined = joined.extended(by: bytes)!
        }
        #expect(joined == pattern(10_000))
    }

    @Test func `A slab is filled to its last byte before the next is taken`() {
        let pool = SlabPool(slabByteCount: 4_096)
        var kept = (0..<4_096).map { pool.receive(pattern(1, from: $0)) }
        #expect(pool.liveSlabCount == 1)
        kept.append(pool.receive("x"))
        #expect(pool.liveSlabCount == 2)
        #expect(kept.count == 4_097)
    }

    @Test func `Slabs begun are counted once each, and used-again blocks count again`() {
        let pool = SlabPool(slabByteCount: 4_096)
        #expect(pool.slabsTaken == 0)
        for round in 1...5 {
            for _ in 0..<4 { _ = pool.receive(pattern(1_024)) }
            #expect(pool.slabsTaken == round)
        }
    }

    @Test(arguments: [(1, 1), (1, 100), (100, 1), (4_096, 4_096), (9_999, 9_999), (100_000, 0), (5, -3)])
    func `What is offered is at least the hint and at most the limit`(atMost: Int, hint: Int) {
        let pool = SlabPool(slabByteCount: 4_096)
        for used in [0, 1, 4_000, 4_090, 4_095, 4_096] {
            pool.trim()
            if used > 0 { _ = pool.receive(pattern(used)) }
            var offered = 0
            _ = pool.receive(atMost: atMost, expecting: hint) { span in
                offered = span.freeCapacity
                return 0
            }
            #expect(offered <= atMost)
            #expect(offered >= min(atMost, max(1, hint), 4_096))
        }
    }

    @Test func `A receive takes a new slab only when the current one has too little room`() {
        let pool = SlabPool(slabByteCount: 4_096)
        let first = pool.receive(pattern(4_000))
        var offered = 0
        _ = pool.receive(atMost: 1_000, expecting: 96) { span in
            offered = span.freeCapacity
            return 0
        }
        #expect(offered == 96)
        #expect(pool.liveSlabCount == 1)
        _ = pool.receive(atMost: 1_000, expecting: 97) { span in
            offered = span.freeCapacity
            return 0
        }
        #expect(offered == 1_000)
        #expect(pool.liveSlabCount == 2)
        #expect(first.count == 4_000)
    }

    @Test func `An error or the end of the stream consumes nothing`() {
        let pool = SlabPool()
        let first = pool.receive("ab")
        let failed = pool.receive(atMost: 100, expecting: 100) { span in
            span.append(copying: "zz")
            return -11
        }
        #expect(failed.filled == -11 && failed.bytes.isEmpty)
        let ended = pool.receive(atMost: 100, expecting: 100) { _ in 0 }
        #expect(ended.filled == 0 && ended.bytes.isEmpty)
        #expect(pool.holdings() == (65_536, 2))
        let second = pool.receive("cd")
        #expect(first.extended(by: second) == "abcd")
    }

    @Test func `A receive that lies, a receive of nothing, and a receive in a receive trap`() async {
        await #expect(processExitsWith: .failure) {
            _ = SlabPool().receive(atMost: 10, expecting: 1) { span in
                span.append(copying: "ab")
                return 3
            }
        }
        await #expect(processExitsWith: .failure) {
            _ = SlabPool().receive(atMost: 0, expecting: 1) { _ in 0 }
        }
        await #expect(processExitsWith: .failure) {
            let pool = SlabPool()
            _ = pool.receive(atMost: 10, expecting: 1) { _ in
                _ = pool.copyOut("ab")
                return 0
            }
        }
        await #expect(processExitsWith: .failure) { _ = SlabPool(slabByteCount: 4_095) }
    }

    @Test func `Later receives never change bytes handed out before`() {
        let seed: UInt64 = 20_261
        var random = SeededGenerator(seed: seed)
        let pool = SlabPool(slabByteCount: 4_096, idleSlabsMax: 2)
        var kept: [(bytes: Bytes, from: Int)] = []
        for round in 0..<3_000 {
            let size = Int.random(in: 1...600, using: &random)
            kept.append((pool.receive(pattern(size, from: round)), round))
            if kept.count > 20 { kept.remove(at: Int.random(in: 0..<kept.count, using: &random)) }
            let (bytes, from) = kept.randomElement(using: &random)!
            #expect(bytes == pattern(bytes.count, from: from), "seed \(seed), round \(round)")
        }
    }

    @Test func `Copies made one after another are dense and adjacent`() {
        let pool = SlabPool(slabByteCount: 4_096)
        let first = pool.copyOut("hello, ")
        let second = pool.copyOut(pattern(300)[..<0])
        let third = pool.copyOut("world")
        #expect(second.isEmpty)
        #expect(first.extended(by: third) == "hello, world")
        #expect(pool.liveSlabCount == 1)
        #expect(pool.holdings() == (4_096, 12))
    }

    @Test func `A copy longer than a slab has its own storage and counts as held`() {
        let pool = SlabPool(slabByteCount: 4_096)
        var copy: Bytes? = pool.copyOut(pattern(10_000))
        #expect(copy == pattern(10_000))
        #expect(copy?.heldByteCount == 10_000)
        #expect(pool.liveSlabCount == 0)
        #expect(pool.holdings() == (10_000, 10_000))
        copy?[..<9_999].delivered()
        #expect(pool.holdings() == (10_000, 1))
        copy?[9_999...].delivered()
        #expect(pool.holdings() == (0, 0))
        copy = pool.copyOut(pattern(5_000))
        #expect(pool.holdings() == (5_000, 5_000))
        copy = nil
        #expect(pool.holdings() == (0, 0))
    }

    @Test func `What has been delivered does not count, even if the user keeps it`() {
        let pool = SlabPool(slabByteCount: 4_096)
        let kept = (0..<50).map { pool.receive(pattern(4_096, from: $0)) }
        #expect(pool.holdings() == (50 * 4_096, 50 * 4_096))
        for bytes in kept.dropLast() { bytes.delivered() }
        #expect(pool.holdings() == (4_096, 4_096))
        kept.last!.delivered()
        #expect(pool.holdings() == (0, 0))
        #expect(pool.liveSlabCount == 50)
    }

    @Test func `A slab counts whole until its last byte is delivered`() {
        let pool = SlabPool(slabByteCount: 4_096)
        let bytes = pool.receive(pattern(4_096))
        _ = pool.receive(atMost: 1, expecting: 1) { _ in 0 }
        for index in 0..<4_096 {
            if index % 100 == 0 { #expect(pool.holdings() == (4_096, 4_096 - index)) }
            bytes[index...index].delivered()
        }
        #expect(pool.holdings() == (0, 0))
        #expect(bytes.count == 4_096)
    }

    @Test func `Bytes dropped without being delivered stop counting with their slab`() {
        let pool = SlabPool(slabByteCount: 4_096)
        for round in 0..<200 {
            _ = pool.receive(pattern(4_096, from: round))
            #expect(pool.holdings().slabBytes == 4_096)
        }
    }

    @Test func `Accounts at zero are forgotten even if nobody asks for holdings`() {
        let pool = SlabPool(slabByteCount: 4_096)
        let long = pool.receive(pattern(4_096))
        for round in 0..<1_000 {
            let bytes = pool.receive(pattern(4_096, from: round))
            // Retired with bytes in it, so that its account is remembered, and at zero soon after.
            _ = pool.receive(atMost: 1, expecting: 1) { _ in 0 }
            bytes.delivered()
        }
        #expect(pool.rememberedAccountCount <= 64)
        #expect(pool.holdings() == (4_096, 4_096))
        #expect(pool.rememberedAccountCount == 1)
        long.delivered()
    }
}
