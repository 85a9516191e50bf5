// What a pass leaves for later: rounds, and that their buffers are kept.

import Testing

@testable import AIOWorkers

@Suite struct WorkListTests {
    @Test func aRoundIsWhatWasInTheListInOrder() {
        var list = WorkList<Int>()
        #expect(list.isEmpty == true)
        for number in 0..<5 { list.append(number) }
        #expect(list.isEmpty == false)
        let round = list.takeRound()
        #expect(round == [0, 1, 2, 3, 4])
        #expect(list.isEmpty == true)
        list.recycle(round)
        #expect(list.isEmpty == true)
        let nothing = list.takeRound()
        #expect(nothing == [])
    }

    @Test func whatIsAppendedDuringARoundIsForTheNext() {
        var list = WorkList<Int>()
        list.append(1)
        for expected in 1..<200 {
            let round = list.takeRound()
            #expect(round == Array(repeating: expected, count: round.count))
            for number in round { list.append(number + 1) }
            if expected.isMultiple(of: 50) { list.append(expected + 1) }
            list.recycle(round)
            #expect(list.isEmpty == false)
        }
        let last = list.takeRound()
        #expect(last == [200, 200, 200, 200])
    }

    @Test func bothBuffersAreKept() {
        var list = WorkList<Int>()
        for _ in 0..<2 {
            for number in 0..<1_000 { list.append(number) }
            list.recycle(list.takeRound())
        }
        for _ in 0..<4 {
            list.append(1)
            let round = list.takeRound()
            #expect(round == [1])
            #expect(round.capacity >= 1_000)
            list.recycle(round)
        }
    }

    @Test func aBufferThatIsKeptHoldsNothing() {
        final class Item {}
        var list = WorkList<Item>()
        func append() -> () -> Bool {
            let item = Item()
            list.append(item)
            return { [weak item] in item != nil }
        }
        let lives = append()
        #expect(lives())
        list.recycle(list.takeRound())
        #expect(!lives())
    }
}
