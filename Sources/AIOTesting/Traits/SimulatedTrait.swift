// `@Test(.simulated(seeds: 0..<200))`: a test that is run under many schedules, one a seed.

public import Testing

/// Runs a test once for each seed, in a simulation of its own, and stops at the first that fails.
///
/// A failed run says its seed and how to run it again: with `AIO_SEED=17` in the environment only that seed is run. With
/// `AIO_SHRINK=1`, or `shrinks`, a failing run is first made smaller: run again and again with fewer deviations from the
/// plain run, until each that is left is needed, and reported with only those (`AIO_KEEP=3,17`).
public struct SimulatedTrait: TestTrait, SuiteTrait, TestScoping {
    let seeds: Range<Int>
    let schedule: SchedulePolicy
    let shrinks: Bool

    public var isRecursive: Bool { true }

    /// For each test by itself; not once around a suite.
    public func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? { testCase == nil ? nil : self }

    public func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        let environment = try ReplayEnvironment()
        let seeds = environment.seed.map { [$0] } ?? seeds.map { UInt64($0) }
        for seed in seeds {
            var run = SimulatedRun(test: test, testCase: testCase, seed: seed, schedule: schedule)
            run.kept = environment.kept
            if shrinks || environment.shrinks, environment.kept == nil {
                guard let first = try await run.failure(function) else { continue }
                run.kept = try await smallest(of: run, failingAs: first, function)
                run.deviationCount = first.deviationCount
            }
            if try await run.report(function) { return }
        }
    }

    private func smallest(
        of run: SimulatedRun, failingAs first: SimulatedRun.Failure,
        _ function: @Sendable @concurrent () async throws -> Void
    ) async throws -> DeviationSet {
        let kept = await Shrinking(count: first.deviationCount).smallest { kept in
            var smaller = run
            smaller.kept = kept
            return (try? await smaller.failure(function))?.key == first.key
        }
        return kept
    }
}

extension Trait where Self == SimulatedTrait {
    /// Runs the test in a simulation for each of these seeds, none of which is negative.
    /// - Parameters:
    ///   - schedule: how it is decided whose turn it is.
    ///   - shrinks: whether a failing run is made smaller before it is reported, which takes up to 400 further runs.
    public static func simulated(
        seeds: Range<Int> = 0..<1, schedule: SchedulePolicy = .mixed, shrinks: Bool = false
    ) -> Self {
        precondition(seeds.lowerBound >= 0, "a seed is not negative")
        return SimulatedTrait(seeds: seeds, schedule: schedule, shrinks: shrinks)
    }
}
