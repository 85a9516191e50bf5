// Blocks coming back from many threads: while the owner takes, after the limit, and after the pool has
// ended.

import AIOBytes
import Synchronization
import Testing

@Suite struct SlabBlocksTests {
    @Test func `Slices may be dropped on any thread while the owner goes on taking`() {
        let pool = SlabPool(slabByteCount: 4_096, idleSlabsMax: 4)
        let consumers = 3
        let mailboxes = (0..<consumers).map { _ in Mailbox() }
        let threads = mailboxes.map { mailbox in
            TestThread {
                var kept: [Bytes] = []
                while let taken = mailbox.takeAll() {
                    for bytes in taken {
                        precondition(bytes == pattern(bytes.count, from: Int(bytes[0])), "the bytes changed")
                        bytes.delivered()
                        kept.append(bytes[(bytes.count / 2)...])
                    }
                    if kept.count > 40 { kept.removeFirst(30) }
                }
            }
        }
        var random = SeededGenerator(seed: 7)
        for round in 0..<6_000 {
            let bytes = pool.receive(pattern(Int.random(in: 1...1_500, using: &random), from: round % 251))
            if round % 5 == 0 {
                for mailbox in mailboxes.dropFirst() {
                    let half = bytes.count / 2
                    mailbox.put(Bytes(joining: [bytes[..<half], bytes[half...]]))
                }
            }
            mailboxes[round % consumers].put(bytes)
            if pool.idleSlabCount > 4 + consumers { Issue.record("\(pool.idleSlabCount) idle slabs") }
        }
        for mailbox in mailboxes { mailbox.close() }
        for thread in threads { thread.join() }
        #expect(pool.liveSlabCount == 1)
        #expect(pool.idleSlabCount <= 4)
        #expect(pool.holdings() == (0, 0))
    }

    @Test func `No block is lost when threads give back at the same moment as the owner takes`() {
        let threadCount = 4
        let slabsPerThread = 300
        let pool = SlabPool(slabByteCount: 4_096, idleSlabsMax: 10_000)
        // No lock orders these threads with the owner once they run: only the list itself does.
        let gate = Gate()
        let threads = (0..<threadCount).map { _ in
            let mailbox = Mailbox()
            for index in 0..<slabsPerThread { mailbox.put(pool.receive(pattern(4_096, from: index))) }
            mailbox.close()
            return TestThread {
                var slices = mailbox.takeAll() ?? []
                gate.wait()
                while slices.popLast() != nil {}
            }
        }
        _ = pool.receive("x")
        gate.open()
        for round in 0..<2_000 {
            let bytes = pool.receive(pattern(4_096, from: round))
            if bytes != pattern(4_096, from: round) { Issue.record("round \(round): the bytes are wrong") }
        }
        for thread in threads { thread.join() }
        #expect(pool.liveSlabCount == 1)
        // Counted and found must agree: a block that got lost would stay counted.
        pool.trim()
        #expect(pool.idleSlabCount == 0)
    }

    // The thread sanitizer ignores what happens in a deinit, where slabs give their blocks back. Here
    // blocks go round without slabs, so that it sees whether the list itself orders their memory.
    @Test func `What a thread did to a block is done before the owner has it again`() {
        let blocks = SlabBlocks(blockByteCount: 4_096, idleBlocksMax: 10_000)
        var list: UnsafeMutableRawPointer?
        let gate = Gate()
        let threads = (0..<4).map { _ in
            var addresses: [UInt] = []
            for _ in 0..<300 { unsafe addresses.append(UInt(bitPattern: blocks.takeBlock(from: &list))) }
            return TestThread { [addresses] in
                gate.wait()
                for address in addresses {
                    let block = unsafe UnsafeMutableRawPointer(bitPattern: address)!
                    unsafe block.bindMemory(to: UInt.self, capacity: 2)[1] = address
                    unsafe blocks.giveBack(block)
                }
            }
        }
        gate.open()
        for round in 0..<3_000 as Range<UInt> {
            let block = unsafe blocks.takeBlock(from: &list)
            unsafe block.bindMemory(to: UInt.self, capacity: 2)[1] = round
            unsafe blocks.giveBack(block)
        }
        for thread in threads { thread.join() }
        #expect(blocks.liveCount == 0)
        unsafe blocks.trim(&list)
        #expect(blocks.idleCount == 0)
    }

    private final class Gate: Sendable {
        private let isOpen = Atomic<Bool>(false)
        func open() { isOpen.store(true, ordering: .relaxed) }
        func wait() { while !isOpen.load(ordering: .relaxed) {} }
    }

    @Test func `Slices of one slab may be dropped on several threads at once`() {
        for _ in 0..<50 {
            let pool = SlabPool(slabByteCount: 4_096)
            let mailboxes = (0..<4).map { _ in Mailbox() }
            let threads = mailboxes.map { mailbox in
                TestThread {
                    while let taken = mailbox.takeAll() {
                        for bytes in taken { precondition(bytes.allSatisfy { $0 < 251 }) }
                    }
                }
            }
            for round in 0..<200 {
                let bytes = pool.receive(pattern(256, from: round))
                for (index, mailbox) in mailboxes.enumerated() {
                    mailbox.put(bytes[index * 64..<index * 64 + 64])
                }
            }
            for mailbox in mailboxes { mailbox.close() }
            for thread in threads { thread.join() }
            #expect(pool.liveSlabCount == 1)
        }
    }

    @Test func `A pool whose owner sleeps does not hoard`() {
        let pool = SlabPool(slabByteCount: 4_096, idleSlabsMax: 3)
        var slices = (0..<10).map { pool.receive(pattern(4_096, from: $0)) }
        #expect(pool.liveSlabCount == 10)
        slices.removeAll()
        #expect(pool.liveSlabCount == 1)
        #expect(pool.idleSlabCount == 3)
    }

    @Test func `Without room for idle blocks every block is freed`() {
        let pool = SlabPool(slabByteCount: 4_096, idleSlabsMax: 0)
        for round in 0..<10 {
            _ = pool.receive(pattern(4_096, from: round))
            #expect(pool.liveSlabCount == 1)
            #expect(pool.idleSlabCount == 0)
        }
    }

    @Test func `Blocks that the owner has taken over still count against the limit`() {
        let pool = SlabPool(slabByteCount: 4_096, idleSlabsMax: 3)
        var slices = (0..<4).map { pool.receive(pattern(4_096, from: $0)) }
        slices.removeAll()
        #expect(pool.idleSlabCount == 3)
        slices.append(pool.receive(pattern(4_096)))
        #expect(pool.idleSlabCount == 3)
        slices.append(pool.receive(pattern(4_096)))
        slices.removeAll()
        #expect(pool.idleSlabCount == 3)
        pool.trim()
        #expect(pool.idleSlabCount == 0)
        #expect(pool.liveSlabCount == 1)
    }

    @Test func `Slices outlive the pool, and the last one leaves nothing behind`() {
        var pool: SlabPool? = SlabPool(slabByteCount: 4_096)
        let blocks = pool!.blocks
        var slices = (0..<5).map { pool!.receive(pattern(4_096, from: $0)) }
        _ = pool!.receive(pattern(4_096))
        pool = nil
        #expect(blocks.liveCount == 5)
        #expect(blocks.idleCount == 0)
        for index in 0..<5 {
            #expect(slices[index] == pattern(4_096, from: index))
        }
        while let slice = slices.popLast() {
            #expect(slice.count == 4_096)
        }
        #expect(blocks.liveCount == 0)
        #expect(blocks.idleCount == 0)
    }

    @Test func `A pool may end while slices are being dropped on other threads`() {
        for _ in 0..<200 {
            var pool: SlabPool? = SlabPool(slabByteCount: 4_096)
            let blocks = pool!.blocks
            let mailbox = Mailbox()
            for index in 0..<8 { mailbox.put(pool!.receive(pattern(4_096, from: index))) }
            mailbox.close()
            let threads = (0..<2).map { _ in TestThread { while mailbox.takeAll() != nil {} } }
            pool = nil
            for thread in threads { thread.join() }
            #expect(blocks.liveCount == 0)
        }
    }
}
