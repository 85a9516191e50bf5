// The queue by example, and against a model under random operations.

import AIOBytes
import Testing

@Suite struct ByteQueueTests {
    private func slices(_ queue: borrowing ByteQueue) -> [[UInt8]] {
        var all: [[UInt8]] = []
        queue.forEachPrefix(upTo: .max) { all.append(Array($0)) }
        return all
    }

    private func queue(_ parts: Bytes...) -> ByteQueue {
        var queue = ByteQueue()
        for part in parts { queue.append(part) }
        return queue
    }

    @Test func `Bytes come out in the order they went in`() {
        var queue = queue("one", "two", "three")
        #expect(queue.count == 3 && queue.byteCount == 11 && !queue.isEmpty)
        #expect(queue.first == "one")
        #expect(queue.popFirst() == "one")
        #expect(queue.popFirst() == "two")
        #expect(queue.count == 1 && queue.byteCount == 5)
        #expect(queue.popFirst() == "three")
        #expect(queue.popFirst() == nil && queue.first == nil)
        #expect(queue.isEmpty && queue.count == 0 && queue.byteCount == 0)
    }

    @Test func `Empty bytes vanish`() {
        var queue = queue(Bytes(), "a", Bytes())
        queue.appendNotCoalescing(Bytes())
        #expect(queue.count == 1)
        #expect(queue.popFirst() == "a")
        #expect(queue.popFirst() == nil)
    }

    @Test func `Adjacent slices join, the first as well as later ones, unless asked not to`() {
        let pool = SlabPool()
        var queue = ByteQueue()
        for index in 0..<1_000 { queue.append(pool.receive(pattern(1, from: index))) }
        #expect(queue.count == 1 && queue.byteCount == 1_000)
        queue.append("between")
        for index in 0..<1_000 { queue.append(pool.receive(pattern(1, from: index))) }
        #expect(queue.count == 3 && queue.byteCount == 2_007)
        #expect(slices(queue) == [Array(pattern(1_000)), Array("between".utf8), Array(pattern(1_000))])
        queue.appendNotCoalescing(pool.receive("x"))
        #expect(queue.count == 4)
    }

    @Test func `What comes out has indices from 0`() {
        let whole = pattern(100)
        var queue = queue(whole[10..<20], whole[30..<40], whole[40..<50])
        #expect(queue.count == 2)
        #expect(queue.popFirst(atMost: 4)?.startIndex == 0)
        #expect(queue.first?.startIndex == 0)
        queue.dropFirst(byteCount: 2)
        #expect(queue.popFirst()?.startIndex == 0)
        let last = queue.popFirst()
        #expect(last?.startIndex == 0 && last == whole[30..<50])
    }

    @Test func `Any number of bytes can be dropped, within slices and across them`() {
        for dropped in 0...12 {
            var queue = queue("abc", "d", "efgh", "ijkl")
            queue.dropFirst(byteCount: dropped)
            #expect(queue.byteCount == 12 - dropped)
            #expect(slices(queue).flatMap { $0 } == Array("abcdefghijkl".utf8.dropFirst(dropped)))
            #expect(queue.isEmpty == (dropped == 12))
        }
    }

    @Test func `Any number of bytes can be taken from the first slice`() {
        for limit in 0...5 {
            var queue = queue("abc", "de")
            let taken = queue.popFirst(atMost: limit)
            let expected: Bytes? = limit == 0 ? nil : Bytes("abc".prefix(limit))
            #expect(taken == expected)
            #expect(queue.byteCount == 5 - min(limit, 3))
        }
        var empty = ByteQueue()
        #expect(empty.popFirst(atMost: 0) == nil && empty.popFirst(atMost: 1) == nil)
    }

    @Test func `Dropping more than there is traps`() async {
        await #expect(processExitsWith: .failure) {
            var queue = ByteQueue()
            queue.append("abc")
            queue.dropFirst(byteCount: 4)
        }
    }

    @Test func `A prefix visits no more slices than asked for`() {
        let queue = queue("a", "b", "c", "d")
        for limit in 0...6 {
            var seen: [Bytes] = []
            queue.forEachPrefix(upTo: limit) { seen.append($0) }
            #expect(seen == Array((["a", "b", "c", "d"] as [Bytes]).prefix(limit)))
        }
        struct Stop: Error {}
        var visits = 0
        #expect(throws: Stop.self) {
            try queue.forEachPrefix(upTo: 4) { _ throws(Stop) in
                visits += 1
                if visits == 2 { throw Stop() }
            }
        }
        #expect(visits == 2)
    }

    @Test func `Taking the contents leaves an empty queue`() {
        var queue = queue("a", "b", "c")
        let taken = queue.take()
        #expect(queue.isEmpty && queue.count == 0 && queue.byteCount == 0)
        #expect(slices(taken) == [[97], [98], [99]])
        queue.append("d")
        #expect(slices(queue) == [[100]] && taken.count == 3)
        queue.removeAll()
        #expect(queue.isEmpty && queue.byteCount == 0)
    }

    @Test func `A queue can be moved to the end of another, where adjacent slices join`() {
        let whole = pattern(30)
        var queue = ByteQueue()
        queue.append(contentsOf: ByteQueue())
        #expect(queue.isEmpty == true)
        queue.append(contentsOf: self.queue("a", whole[..<10]))
        #expect(queue.count == 2 && queue.byteCount == 11)
        queue.append(contentsOf: self.queue(whole[10..<20], "b"))
        #expect(slices(queue) == [[97], Array(whole[..<20]), [98]])
        #expect(queue.byteCount == 22)
        queue.append(contentsOf: ByteQueue())
        #expect(queue.count == 3)
    }

    @Test func `What is put at the front comes out first, and joins what it lies before`() {
        let whole = pattern(30)
        var queue = ByteQueue()
        queue.prepend("")
        #expect(queue.isEmpty == true)
        queue.prepend(whole[20..<30])
        queue.prepend(whole[10..<20])
        #expect(queue.count == 1 && queue.first?.startIndex == 0)
        queue.prepend("x")
        queue.prepend(whole[..<10])
        #expect(slices(queue) == [Array(whole[..<10]), [120], Array(whole[10..<30])])
        #expect(queue.byteCount == 31)
    }

    @Test func `A queue can be moved to the front of another, where adjacent slices join`() {
        let whole = pattern(30)
        // The second is the longer one, then the first, then neither.
        for extra in [["a", "b", "c"], [], ["a"]] as [[Bytes]] {
            var queue = ByteQueue()
            for bytes in [whole[10..<20]] + extra { queue.append(bytes) }
            queue.prepend(contentsOf: self.queue("x", whole[..<10]))
            #expect(slices(queue) == [[120], Array(whole[..<20])] + extra.map { Array($0) })
            #expect(queue.byteCount == 21 + extra.count && queue.count == 2 + extra.count)
            queue.prepend(contentsOf: ByteQueue())
            #expect(queue.count == 2 + extra.count)
        }
        var empty = ByteQueue()
        empty.prepend(contentsOf: queue("a", "b"))
        #expect(slices(empty) == [[97], [98]] && empty.byteCount == 2)
    }

    @Test func `A drained queue keeps no slab`() {
        let pool = SlabPool(slabByteCount: 4_096)
        var queue = ByteQueue()
        for index in 0..<10 { queue.append(pool.receive(pattern(4_096, from: index))) }
        #expect(pool.liveSlabCount == 10)
        queue.dropFirst(byteCount: 9 * 4_096)
        #expect(pool.liveSlabCount == 1)
        _ = queue.popFirst()
        _ = pool.receive("x")
        #expect(pool.liveSlabCount == 1)
    }

    @Test func `One byte kept of each of a hundred slabs is compacted into one`() {
        let pool = SlabPool(slabByteCount: 4_096)
        var queue = ByteQueue()
        for index in 0..<100 {
            let bytes = pool.receive(pattern(4_096, from: index))
            bytes[..<4_095].delivered()
            queue.append(bytes[4_095...])
        }
        #expect(pool.holdings() == (100 * 4_096, 100))
        #expect(pool.liveSlabCount == 100)
        let before = slices(queue).flatMap { $0 }

        queue.compact(into: pool)

        #expect(slices(queue).flatMap { $0 } == before)
        let held = pool.holdings()
        #expect(held.slabBytes <= 2 * 4_096)
        #expect(held.undeliveredBytes == 100)
        #expect(pool.liveSlabCount <= 2)
        #expect(queue.count <= 2 && queue.byteCount == 100)

        queue.delivered()
        #expect(pool.holdings() == (0, 0))
    }

    @Test func `Compacting discharges the originals, even if the user keeps their slab`() {
        let pool = SlabPool(slabByteCount: 4_096)
        let received = pool.receive(pattern(4_096))
        received[..<4_000].delivered()
        var queue = queue(received[4_000...])
        _ = pool.receive("x")
        #expect(pool.holdings() == (2 * 4_096, 97))
        queue.compact(into: pool)
        #expect(pool.holdings() == (4_096, 97))
        #expect(pool.liveSlabCount == 2)
        #expect(queue.popFirst() == received[4_000...])
    }

    @Test func `Compacting what is dense already copies nothing`() {
        let pool = SlabPool(slabByteCount: 4_096)
        let exact = pattern(10)
        var queue = queue(pool.receive("in the current slab"), exact, "a literal")
        let room = pool.receive("mark")
        queue.compact(into: pool)
        #expect(queue.count == 3)
        #expect(room.extended(by: pool.receive("!")) == "mark!")
        #expect(queue.popFirst().map { $0.extended(by: room) } == "in the current slabmark")
        #expect(unsafe queue.popFirst()?.baseAddress == exact.baseAddress)
    }

    @Test func `Random operations agree with a model that is an array of bytes`() {
        for seed in UInt64(1)...50 {
            var random = SeededGenerator(seed: seed)
            let pool = SlabPool(slabByteCount: 4_096, idleSlabsMax: 2)
            var queue = ByteQueue()
            var model: [UInt8] = []
            for step in 0..<200 {
                var agrees = true
                switch Int.random(in: 0..<12, using: &random) {
                case 0...3:
                    let bytes = pool.receive(pattern(Int.random(in: 0...300, using: &random), from: step))
                    queue.append(bytes)
                    model += Array(bytes)
                case 4:
                    // A second connection's bytes in the same slab, so that not all slices are adjacent.
                    pool.receive(pattern(Int.random(in: 0...50, using: &random))).delivered()
                case 5:
                    let count = Int.random(in: 0...model.count, using: &random)
                    queue.forEachByte(upTo: count) { $0.delivered() }
                    queue.dropFirst(byteCount: count)
                    model.removeFirst(count)
                case 6:
                    let bytes = queue.popFirst()
                    bytes?.delivered()
                    agrees = Array(bytes ?? Bytes()) == Array(model.prefix(bytes?.count ?? 0))
                    agrees = agrees && (bytes == nil) == model.isEmpty
                    model.removeFirst(bytes?.count ?? 0)
                case 7:
                    let limit = Int.random(in: 0...100, using: &random)
                    let bytes = queue.popFirst(atMost: limit) ?? Bytes()
                    bytes.delivered()
                    agrees = bytes.count <= limit && Array(bytes) == Array(model.prefix(bytes.count))
                    agrees = agrees && bytes.isEmpty == (model.isEmpty || limit == 0)
                    model.removeFirst(bytes.count)
                case 8:
                    queue.compact(into: pool)
                case 9:
                    let bytes = pool.receive(pattern(Int.random(in: 0...300, using: &random), from: step))
                    queue.prepend(bytes)
                    model = Array(bytes) + model
                case 10:
                    var front = ByteQueue()
                    for part in 0..<Int.random(in: 0...4, using: &random) {
                        front.append(
                            pool.receive(pattern(Int.random(in: 0...50, using: &random), from: part)))
                    }
                    model = slices(front).flatMap { $0 } + model
                    queue.prepend(contentsOf: front)
                default:
                    let taken = queue.take()
                    agrees = queue.isEmpty
                    taken.forEachPrefix(upTo: .max) { queue.appendNotCoalescing($0) }
                }
                agrees = agrees && queue.byteCount == model.count && queue.isEmpty == model.isEmpty
                let slices = slices(queue)
                agrees = agrees && slices.flatMap { $0 } == model
                agrees = agrees && slices.count == queue.count && !slices.contains { $0.isEmpty }
                agrees = agrees && pool.holdings().undeliveredBytes == model.count
                #expect(agrees, "seed \(seed), step \(step)")
                if !agrees { return }
            }
        }
    }
}

extension ByteQueue {
    /// Visits the first `count` bytes, in slices.
    fileprivate func forEachByte(upTo count: Int, _ body: (Bytes) -> Void) {
        var left = count
        forEachPrefix(upTo: .max) { slice in
            body(slice.prefix(left))
            left -= min(left, slice.count)
        }
    }
}
