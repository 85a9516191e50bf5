import AIOBytes
import AIOFraming
import Testing

@Suite struct FilterCountersTests {
    private let filter: FrameFilter

    init() throws {
        filter = try FrameFilter(
            judging: .everyFrame, otherwise: .close,
            rules: [.pass(.prefix("a"), named: "letters"), .drop(.exactly("")), .drop(.prefix("ab"))])
    }

    @Test func `what each rule has decided is counted, and what none has`() {
        let counters = FilterCounters(for: filter)
        for frame in ["a", "ab", "", "b", "c", "d"] as [Bytes] {
            counters.count(filter.number(of: filter.judge(frame)))
        }
        let counts = counters.counts
        #expect(counts.rules.map(\.name) == ["letters", #"2: exactly """#, #"3: prefix "ab""#])
        #expect(counts.rules.map(\.count) == [2, 1, 0])
        #expect(counts.otherwise == 3)
        #expect(counts.total == 6)
        #expect(counts["letters"] == 2)
        #expect(counts["numbers"] == nil)
    }

    @Test func `a filter without rules counts otherwise`() throws {
        let filter = try FrameFilter(judging: .firstFrame, rules: [])
        let counters = FilterCounters(for: filter)
        counters.count(filter.number(of: filter.judge("x")))
        #expect(counters.counts.total == 1 && counters.counts.rules.isEmpty)
    }

    @Test func `the counts of workers add up`() {
        let workers = (1...3).map { count in
            let counters = FilterCounters(for: filter)
            for _ in 0..<count { counters.count(filter.number(of: filter.judge("a"))) }
            counters.count(filter.number(of: filter.judge("z")))
            return counters.counts
        }
        var sum = workers[0]
        for other in workers[1...] { sum += other }
        #expect(sum["letters"] == 6)
        #expect(sum.otherwise == 3)
    }

    @Test func `counts may be read while a worker counts, and lose none`() async {
        let counters = FilterCounters(for: filter)
        let judgement = filter.judge("a")
        await withTaskGroup { group in
            group.addTask { for _ in 0..<100_000 { counters.count(filter.number(of: judgement)) } }
            group.addTask {
                var last: UInt64 = 0
                for _ in 0..<10_000 {
                    let now = counters.counts.total
                    #expect(now >= last && now <= 100_000)
                    last = now
                }
            }
        }
        #expect(counters.counts["letters"] == 100_000)
    }

    @Test func `a filter of many rules has a count for each`() throws {
        let filter = try FrameFilter(
            judging: .everyFrame, rules: (0..<256).map { .drop(.exactly("\($0)"), named: "\($0)") })
        let counters = FilterCounters(for: filter)
        for number in 0..<256 {
            let judgement = filter.judge("\(number)")
            for _ in 0..<number { counters.count(filter.number(of: judgement)) }
        }
        #expect(counters.counts.rules.map(\.count) == (0..<256).map(UInt64.init))
        #expect(counters.counts.otherwise == 0)
    }
}
