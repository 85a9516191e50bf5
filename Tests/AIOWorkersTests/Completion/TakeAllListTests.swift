// The interlocked list: what it keeps of order, alone and under many producers, what it says of having been
// empty, and that it keeps nothing alive that it was left with. Chains are tested here too: they are its
// pushes.

import AIOWorkers
import Synchronization
import Testing

@Suite struct TakeAllListTests {
    typealias List = TakeAllList<CompletionLink>

    // MARK: One thread

    @Test func whatIsPushedIsTakenOnceAndInOrder() {
        let list = List()
        let none = values(list.takeAll())
        #expect(none == [])
        for number in 0..<5 { _ = list.push(ValueNode(number)) }
        _ = list.push(chain(5..<9))
        _ = list.push(ValueNode(9))
        let taken = values(list.takeAll())
        #expect(taken == Array(0..<10))
        let again = values(list.takeAll())
        #expect(again == [])
    }

    @Test func aPushSaysWhetherItFoundTheListEmpty() {
        let list = List()
        for _ in 0..<3 {
            #expect(list.isEmpty() == true)
            #expect(list.push(ValueNode(0)) == true)
            #expect(list.isEmpty() == false)
            #expect(list.push(ValueNode(1)) == false)
            #expect(list.push(chain(2..<5)) == false)
            _ = list.takeAll()
            #expect(list.isEmpty() == true)
            #expect(list.push(chain(0..<3)) == true)
            #expect(list.push(ValueNode(3)) == false)
            let taken = values(list.takeAll())
            #expect(taken == [0, 1, 2, 3])
        }
    }

    @Test func aTakenNodeCanBePushedAgain() {
        let list = List()
        let node = ValueNode(7)
        for _ in 0..<3 {
            #expect(list.push(node) == true)
            let taken = values(list.takeAll())
            #expect(taken == [7])
        }
    }

    @Test func aNodeIsInACompletionListAndInASubmissionListAtOnce() {
        let completions = TakeAllList<CompletionLink>()
        let submissions = TakeAllList<SubmissionLink>()
        let nodes = (0..<4).map { ValueNode($0) }
        for node in nodes { _ = completions.push(node) }
        for node in nodes.reversed() { _ = submissions.push(node) }
        let completed = values(completions.takeAll())
        #expect(completed == [0, 1, 2, 3])
        let submitted = values(submissions.takeAll())
        #expect(submitted == [3, 2, 1, 0])
    }

    // MARK: What is left behind

    @Test func nodesThatNobodyTookAreReleasedWithTheList() {
        let probes = Probes()
        do {
            let list = List()
            _ = list.push(probes.make())
            _ = list.push(probes.makeChain(3))
            #expect(probes.alive == 4)
        }
        #expect(probes.alive == 0)
    }

    @Test func nodesThatWereTakenAreReleasedWithTheChain() {
        let probes = Probes()
        let list = List()
        for _ in 0..<5 { _ = list.push(probes.make()) }
        do {
            var taken = list.takeAll()
            #expect(probes.alive == 5)
            _ = taken.popFirst()
            _ = taken.popFirst()
            #expect(probes.alive == 3)
        }
        #expect(probes.alive == 0)
    }

    // MARK: Many threads

    /// Each producer pushes single nodes and chains of up to eight; the consumer takes all the while.
    @Test(arguments: SplitMix64.seeds)
    func manyProducersLoseNothingDoubleNothingAndKeepTheirOrder(seed: UInt64) throws {
        let producerCount = 8
        let nodesEach = 20_000
        let shared = SharedList()
        var expected = Array(repeating: 0, count: producerCount)
        var all = NodeChain<CompletionLink>()
        var roundsTaken = 0
        try onThreads(producerCount) { producer in
            var random = SplitMix64(state: seed &+ UInt64(producer))
            var number = 0
            while number < nodesEach {
                let count = min(1 + Int(random.next(below: 8)), nodesEach - number)
                var wasEmpty: Bool
                if count == 1 {
                    wasEmpty = shared.list.push(Entry.node(producer, number))
                } else {
                    var chain = NodeChain<CompletionLink>()
                    for offset in 0..<count { chain.append(Entry.node(producer, number + offset)) }
                    wasEmpty = shared.list.push(chain)
                }
                if wasEmpty { shared.foundEmpty.wrappingAdd(1, ordering: .relaxed) }
                number += count
            }
            shared.producersDone.wrappingAdd(1, ordering: .sequentiallyConsistent)
        } meanwhile: {
            // Only taking, so that takes and pushes meet as often as can be; looking comes afterwards.
            while true {
                let isLastLook = shared.producersDone.load(ordering: .sequentiallyConsistent) == producerCount
                let taken = shared.list.takeAll()
                if !taken.isEmpty { roundsTaken += 1 }
                all.append(contentsOf: taken)
                if isLastLook { return }
            }
        }
        #expect(all.count == producerCount * nodesEach, "seed \(seed)")
        while let node = all.popFirst() {
            let entry = Entry(node)
            try #require(entry.number == expected[entry.producer], "seed \(seed): \(entry)")
            expected[entry.producer] = entry.number + 1
        }
        #expect(expected == Array(repeating: nodesEach, count: producerCount), "seed \(seed)")
        // Each round that brought something was begun by one push onto the empty list, and by no other.
        #expect(shared.foundEmpty.load(ordering: .relaxed) == roundsTaken, "seed \(seed)")
    }

    /// As connections do: a node is pushed by whoever sets its flag, and may be pushed again as soon as the
    /// consumer has cleared it. So its link is handed from thread to thread.
    @Test func nodesAreReusedByManyProducersThroughAFlag() throws {
        let roundsEach = 20_000
        let shared = SharedList()
        let flagged = (0..<3).map { Flagged($0) }
        var taken = [0, 0, 0]
        try onThreads(4) { producer in
            var random = SplitMix64(state: UInt64(producer))
            for _ in 0..<roundsEach {
                let one = flagged[Int(random.next(below: 3))]
                guard !one.isInList.exchange(true, ordering: .acquiringAndReleasing) else { continue }
                one.pushes.wrappingAdd(1, ordering: .relaxed)
                _ = shared.list.push(one.node)
            }
            shared.producersDone.wrappingAdd(1, ordering: .sequentiallyConsistent)
        } meanwhile: {
            while true {
                let isLastLook = shared.producersDone.load(ordering: .sequentiallyConsistent) == 4
                var chain = shared.list.takeAll()
                while let node = chain.popFirst() {
                    let index = (node as! ValueNode<Int>).value
                    taken[index] += 1
                    flagged[index].isInList.store(false, ordering: .releasing)
                }
                if isLastLook { return }
            }
        }
        #expect(taken == flagged.map { $0.pushes.load(ordering: .relaxed) })
        #expect(taken.allSatisfy { $0 > 0 })
    }
}

@Suite struct NodeChainTests {
    @Test func nodesComeOutInTheOrderTheyWereAppended() {
        var chain = NodeChain<CompletionLink>()
        for round in 0..<3 {
            #expect(chain.isEmpty == true)
            #expect(chain.popFirst() == nil)
            for number in 0..<4 {
                chain.append(ValueNode(round * 10 + number))
                #expect(chain.count == number + 1)
            }
            for number in 0..<4 {
                let node = chain.popFirst() as? ValueNode<Int>
                #expect(node?.value == round * 10 + number)
                #expect(chain.count == 3 - number)
            }
        }
    }

    @Test func appendingGoesOnWhileNodesAreTaken() {
        var taken: [Int] = []
        var chain = chain(0..<2)
        for number in 2..<10 {
            taken.append((chain.popFirst() as! ValueNode<Int>).value)
            chain.append(ValueNode(number))
        }
        #expect(chain.count == 2)
        taken += values(chain)
        #expect(taken == Array(0..<10))
    }

    @Test(arguments: 0...3, 0...3)
    func anotherChainIsMovedToTheEndWhole(firstCount: Int, secondCount: Int) {
        var both = chain(0..<firstCount)
        let second = chain(firstCount..<firstCount + secondCount)
        both.append(contentsOf: second)
        #expect(both.count == firstCount + secondCount)
        #expect(both.isEmpty == (firstCount + secondCount == 0))
        // The end of the joined chain is where appending goes on.
        both.append(ValueNode(firstCount + secondCount))
        let taken = values(both)
        #expect(taken == Array(0...(firstCount + secondCount)))
    }

    @Test func aChainReleasesItsNodes() {
        let probes = Probes()
        do {
            var first = probes.makeChain(3)
            let second = probes.makeChain(2)
            first.append(contentsOf: second)
            #expect(probes.alive == 5)
            let kept = first.popFirst()
            #expect(probes.alive == 5)
            _ = kept
        }
        #expect(probes.alive == 0)
    }

    @Test func aChainOfAHundredThousandIsReleasedWithoutRecursion() {
        let probes = Probes()
        do { _ = probes.makeChain(100_000) }
        #expect(probes.alive == 0)
    }
}

// MARK: - Nodes

private func chain(_ numbers: Range<Int>) -> NodeChain<CompletionLink> {
    var chain = NodeChain<CompletionLink>()
    for number in numbers { chain.append(ValueNode(number)) }
    return chain
}

/// Takes everything out, as much as the chain says there is.
private func values<Link: ListLink>(_ chain: consuming NodeChain<Link>) -> [Int] {
    let count = chain.count
    var values: [Int] = []
    while let node = chain.popFirst() { values.append((node as! ValueNode<Int>).value) }
    #expect(values.count == count)
    return values
}

/// Which producer's, and which of its nodes.
private struct Entry: Sendable {
    let producer: Int
    let number: Int

    static func node(_ producer: Int, _ number: Int) -> ListNode {
        ValueNode(Entry(producer: producer, number: number))
    }
}

extension Entry {
    init(_ node: ListNode) { self = (node as! ValueNode<Entry>).value }
}

private final class SharedList: Sendable {
    let list = TakeAllList<CompletionLink>()
    let foundEmpty = Atomic<Int>(0)
    let producersDone = Atomic<Int>(0)
}

private final class Flagged: Sendable {
    let node: ValueNode<Int>
    let isInList = Atomic<Bool>(false)
    let pushes = Atomic<Int>(0)

    init(_ index: Int) { node = ValueNode(index) }
}

/// Makes nodes and counts those that are still there.
private final class Probes: Sendable {
    private final class Probe: Sendable {
        let probes: Probes
        init(_ probes: Probes) { self.probes = probes }
        deinit { probes.count.wrappingSubtract(1, ordering: .relaxed) }
    }

    private let count = Atomic<Int>(0)
    var alive: Int { count.load(ordering: .relaxed) }

    func make() -> ListNode {
        count.wrappingAdd(1, ordering: .relaxed)
        return ValueNode(Probe(self))
    }

    func makeChain(_ nodeCount: Int) -> NodeChain<CompletionLink> {
        var chain = NodeChain<CompletionLink>()
        for _ in 0..<nodeCount { chain.append(make()) }
        return chain
    }
}
