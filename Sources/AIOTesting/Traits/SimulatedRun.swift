// One run of a test under one seed, for the trait: told as it comes, or only looked at.

import AIOKernel
import Testing

/// A test, a seed, and which deviations from the plain run are kept.
struct SimulatedRun {
    let test: Test
    let testCase: Test.Case?
    let seed: UInt64
    let schedule: SchedulePolicy
    var kept: DeviationSet?
    /// Of the run before it was made smaller.
    var deviationCount: Int?

    /// How a run failed.
    struct Failure: Sendable {
        /// Where and with what: two runs with the same key fail in the same way.
        let key: String
        let deviationCount: Int
    }

    typealias Body = @Sendable @concurrent () async throws -> Void

    /// Runs it; issues are the test's, with how to run it again. Returns whether there were any.
    func report(_ function: Body) async throws -> Bool {
        let observed = ObservedIssues()
        let advice = advice
        _ = try await run(function) { issue, simulation in
            let isFirst = observed.add(issue)
            var issue = issue
            issue.comments.append(Comment(rawValue: advice))
            // A simulation's own error has it already. Elsewhere than on the simulation's thread nobody may look.
            if isFirst, !(issue.error is SimulationError), simulation.executor.isCurrent {
                issue.comments.append(Comment(rawValue: simulation.trace.summary))
            }
            return issue
        }
        return observed.first != nil
    }

    /// Runs it without telling anybody; nil if it does not fail.
    func failure(_ function: Body) async throws -> Failure? {
        let observed = ObservedIssues()
        let deviationCount = try await run(function) { issue, _ in
            _ = observed.add(issue)
            return issue.isFailure ? nil : issue
        }
        return observed.first.map { Failure(key: $0, deviationCount: deviationCount) }
    }

    /// Returns how many deviations came up.
    private func run(
        _ function: Body, _ handle: @escaping @Sendable (Issue, Simulation) -> Issue?
    ) async throws -> Int {
        let simulation = Simulation(seed: seed, schedule: schedule, keeping: kept)
        let issues: IssueHandlingTrait = .compactMapIssues { handle($0, simulation) }
        try await issues.provideScope(for: test, testCase: testCase) {
            do {
                try await simulation.run { _ in try await function() }
            } catch is PeerMismatch {
                // Recorded where it happened.
            } catch {
                Issue.record(error)
            }
        }
        return simulation.deviations.count
    }

    private var advice: String {
        // As the filter takes it: without the parentheses of a function's name.
        let name = test.name.prefix { $0 != "(" }
        var variables = "AIO_SEED=\(seed)"
        var text = "seed \(seed)"
        if let kept {
            variables += " AIO_KEEP=\(kept)"
            text += kept.count == 0 ? ", the plain run fails" : ", with \(kept.count)"
            if kept.count > 0, let deviationCount { text += " of \(deviationCount)" }
            if kept.count > 0 { text += " deviations from the plain run" }
        }
        return "\(text); again with \(variables) swift test --filter '\(name)'"
    }
}

/// The issues of a run that make it fail. Sendable, unchecked: what changes is under `lock`.
private final class ObservedIssues: @unchecked Sendable {
    private let lock = PosixLock()
    private var key: String?

    /// True for the first that makes the run fail.
    func add(_ issue: Issue) -> Bool {
        guard issue.isFailure else { return false }
        let place = issue.sourceLocation.map { "\($0.fileID):\($0.line)" } ?? ""
        let kind = issue.error.map { "\(type(of: $0))" } ?? ""
        return lock.withLock {
            guard key == nil else { return false }
            key = "\(place) \(kind)"
            return true
        }
    }

    var first: String? { lock.withLock { key } }
}
