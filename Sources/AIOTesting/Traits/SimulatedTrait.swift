// `@Test(.simulated(seeds: 0..<200))`: a test that is run under many schedules, one a seed.

import Glibc
import Synchronization
public import Testing

/// Runs a test once for each seed, in a simulation of its own, and stops at the first that fails.
///
/// A failed run says its seed and how to run it again: with `AIO_SEED=17` in the environment only that seed is run.
public struct SimulatedTrait: TestTrait, SuiteTrait, TestScoping {
    let seeds: Range<Int>
    let schedule: SchedulePolicy

    public var isRecursive: Bool { true }

    /// For each test by itself; not once around a suite.
    public func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? { testCase == nil ? nil : self }

    public func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        let seeds = try seedFromEnvironment().map { [$0] } ?? seeds.map { UInt64($0) }
        // As the filter takes it: without the parentheses of a function's name.
        let name = test.name.prefix { $0 != "(" }
        for seed in seeds {
            let hasFailed = Atomic<Bool>(false)
            let issues: IssueHandlingTrait = .compactMapIssues { issue in
                if issue.isFailure { hasFailed.store(true, ordering: .relaxed) }
                var issue = issue
                issue.comments.append(
                    "seed \(seed); again with AIO_SEED=\(seed) swift test --filter '\(name)'")
                return issue
            }
            try await issues.provideScope(for: test, testCase: testCase) {
                do {
                    try await Simulation(seed: seed, schedule: schedule).run { _ in try await function() }
                } catch is PeerMismatch {
                    // Recorded where it happened.
                } catch {
                    Issue.record(error)
                }
            }
            if hasFailed.load(ordering: .relaxed) { return }
        }
    }
}

extension Trait where Self == SimulatedTrait {
    /// Runs the test in a simulation for each of these seeds, none of which is negative.
    /// - Parameter schedule: how it is decided whose turn it is.
    public static func simulated(seeds: Range<Int> = 0..<1, schedule: SchedulePolicy = .mixed) -> Self {
        precondition(seeds.lowerBound >= 0, "a seed is not negative")
        return SimulatedTrait(seeds: seeds, schedule: schedule)
    }
}

/// `AIO_SEED`, if it is set.
func seedFromEnvironment() throws(SimulationError) -> UInt64? {
    guard let text = unsafe getenv("AIO_SEED") else { return nil }
    let written = unsafe String(cString: text)
    guard let seed = UInt64(written) else {
        throw SimulationError("AIO_SEED is \"\(written)\": a seed is a number, as a failed test printed it")
    }
    return seed
}
