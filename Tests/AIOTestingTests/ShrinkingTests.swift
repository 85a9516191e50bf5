// Failing runs made smaller: the search by itself, and over real runs; and how they are asked for again.

import AIO
import SystemPackage
import Testing

@testable import AIOTesting

@Suite struct ShrinkingTests {
    // MARK: The search

    @Test(arguments: [[], [5], [3, 4], [1, 50, 100], [17, 18, 19, 77]])
    func `what it takes to fail is found, and nothing else is left`(_ needed: [Int]) async {
        let kept = await Shrinking(count: 100).smallest { Set(needed).isSubset(of: Set($0.numbers)) }
        #expect(kept.numbers == needed)
    }

    @Test func `it gives up after so many runs, with what still fails`() async {
        var runs = 0
        let shrinking = Shrinking(count: 1_000, runsMax: 20)
        let kept = await shrinking.smallest { set in
            runs += 1
            return set.count >= 900
        }
        #expect(runs <= 20)
        #expect(kept.count >= 900)
    }

    // MARK: Sets in text

    @Test(arguments: ["", "1", "3,17-20", "1-2,4,6-9"])
    func `a set is read back from its text`(_ text: String) throws {
        let set = try #require(DeviationSet(parsing: text))
        #expect(set.description == text)
        #expect(DeviationSet(set.numbers) == set)
    }

    @Test(arguments: ["x", "3-", "-3", "5-4", "3,3", "4,2", "1-2-3", "1,,x", "0"])
    func `what is no set is not read`(_ text: String) { #expect(DeviationSet(parsing: text) == nil) }

    // MARK: Runs

    private struct Lost: Error {}

    @Test func `of a failing run few deviations are left, it fails with those, and without any it does not`()
        async throws
    {
        var run = SimulatedRun(
            test: try #require(Test.current), testCase: Test.Case.current, seed: 0, schedule: .random)
        var first: SimulatedRun.Failure?
        for seed in 1..<200 as Range<UInt64> {
            run = SimulatedRun(
                test: run.test, testCase: run.testCase, seed: seed, schedule: .random)
            first = try await run.failure { try await Self.failLate() }
            if first != nil { break }
        }
        let failure = try #require(first)
        #expect(failure.deviationCount > 10)
        let original = run
        let kept = await Shrinking(count: failure.deviationCount).smallest { kept in
            var smaller = original
            smaller.kept = kept
            return (try? await smaller.failure { try await Self.failLate() })?.key == failure.key
        }
        #expect(kept.count >= 1 && kept.count <= 4, "\(kept) of \(failure.deviationCount)")
        run.kept = kept
        #expect(try await run.failure { try await Self.failLate() }?.key == failure.key)
        run.kept = DeviationSet([])
        #expect(try await run.failure { try await Self.failLate() } == nil)
    }

    /// Fails if the second of two tasks, which were begun in this order, is the first to finish.
    private static func failLate() async throws {
        let order = Count()
        await withTaskGroup { group in
            for number in 1...2 {
                group.addTask {
                    for _ in 0..<10 { await Task.yield() }
                    if order.value == 0 { order.value = number }
                }
            }
        }
        if order.value != 1 { throw Lost() }
    }

    @Test func `a fault that is not kept does not happen`() async throws {
        for (kept, fails) in [(DeviationSet([1]), true), (DeviationSet([]), false)] {
            let run = SimulatedRun(
                test: try #require(Test.current), testCase: Test.Case.current, seed: 0, schedule: .inTurn,
                kept: kept)
            let failure = try await run.failure {
                try await withSimulation { world in
                    let rule = world.host("a").faults.add(.socket, .fail(.tooManyOpenFiles))
                    defer { rule.end() }
                    try await world.host("a").withProactor { aio in _ = try await aio.listen(on: "*:80") }
                }
            }
            #expect((failure != nil) == fails, "\(failure?.key ?? "")")
        }
    }

    @Test func `a run tells its seed, what is kept, and how to run it again`() async throws {
        var run = SimulatedRun(
            test: try #require(Test.current), testCase: Test.Case.current, seed: 17, schedule: .random)
        run.kept = DeviationSet([3, 17])
        run.deviationCount = 143
        let comments = Comments()
        let told = run
        let issues: IssueHandlingTrait = .compactMapIssues { issue in
            comments.add(issue.comments.map(\.rawValue))
            return nil
        }
        try await issues.provideScope(for: run.test, testCase: run.testCase) {
            _ = try await told.report { throw Lost() }
        }
        let text = comments.all.joined()
        #expect(
            text.contains("with 2 of 143 deviations") && text.contains("AIO_SEED=17 AIO_KEEP=3,17 swift test")
        )
    }
}

/// Sendable, unchecked: of one simulation's thread.
private final class Count: @unchecked Sendable { var value = 0 }

/// Sendable, unchecked: of one task.
private final class Comments: @unchecked Sendable {
    private(set) var all: [String] = []
    func add(_ texts: [String]) { all += texts }
}
