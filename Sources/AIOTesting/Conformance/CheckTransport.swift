// `checkTransport`: runs every check over a fresh pair of ends, both ways round, and reports what was
// promised and not kept.

import AIO
import AIOKernel
public import Testing

/// Checks that a stream transport keeps what every stream transport promises (`TransportPromise`).
///
/// ```swift
/// @Test(.simulated(seeds: 0..<30)) func `a connection keeps its promises`() async throws {
///     try await checkTransport { body in
///         try await withConnectedPair { client, server in try await body(client, server) }
///     }
/// }
/// ```
///
/// Each check has a pair of its own: `make` is called for it with a closure, which it has to call once with
/// two ends that are connected, and may clear away afterwards. Each is done twice, the second time with the
/// ends in each other's place. What follows from the order in which things happen is drawn: run it under many
/// seeds.
///
/// A promise that is not kept is an issue, with a `BrokenTransportPromise` as its error; the other promises are still
/// checked. Nothing hangs: what does not end within `TransportCheckOptions.timeLimit` is reported, its ends
/// are aborted and its task is cancelled; if that does not end it either, it is left behind.
///
/// Suspends for as long as the checks take. Works under a simulation, where time is virtual, and without; but
/// if `make` makes simulated pairs, call it under `.simulated`, so that its own time is theirs.
///
/// - Parameters:
///   - options: what the transport is able to do.
///   - seed: what sizes and times are drawn from; nil takes the simulation's, or `AIO_SEED`, or 0.
/// - Throws: what `make` throws, unless a broken promise was reported of that pair; `CancellationError`;
///   `SimulationError`, if the simulation breaks down.
public func checkTransport<Transport: StreamTransport>(
    _ options: TransportCheckOptions = TransportCheckOptions(), seed: UInt64? = nil,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ make:
        @escaping @Sendable (
            _ body: @escaping @Sendable (Transport, Transport) async throws -> Void
        ) async throws -> Void
) async throws {
    let seed = try seed ?? Simulation.current?.seed ?? ReplayEnvironment().seed ?? 0
    var random = SeededRandom(seed: seed)
    for promise in TransportPromise.allCases {
        // Drawn for all of them, so that a promise is checked in the same way when it is checked alone.
        var random = random.split()
        guard options.promises.contains(promise), options.applies(promise) else { continue }
        for check in TransportCheck<Transport>.checks(of: promise, options) {
            for isSwapped in [false, true] {
                let run = TransportCheckRun(
                    check: check, options: options, random: random.split(), isSwapped: isSwapped)
                guard let failure = try await run.failure(make) else { continue }
                let text = "\(promise): \(failure) (seed \(seed)\(isSwapped ? ", ends swapped" : ""))"
                Issue.record(
                    BrokenTransportPromise(promise: promise, description: text),
                    sourceLocation: sourceLocation)
            }
        }
    }
}

/// One check over one pair, with an eye on the time.
private struct TransportCheckRun<Transport: StreamTransport>: Sendable {
    typealias Make =
        @Sendable (
            _ body: @escaping @Sendable (Transport, Transport) async throws -> Void
        ) async throws -> Void

    let check: TransportCheck<Transport>.Body
    let options: TransportCheckOptions
    let random: SeededRandom
    let isSwapped: Bool

    /// For what was aborted and cancelled to end.
    private var patience: Duration { min(options.timeLimit, .seconds(10)) }

    /// What went wrong; nil if nothing did.
    func failure(_ make: @escaping Make) async throws -> String? {
        let record = CheckRecord(options: options)
        let task = Task(executorPreference: CheckTime.executor) {
            try await make { first, second in await perform(first, second, record) }
        }
        defer { task.cancel() }
        let hasEnded = try await withTaskCancellationHandler {
            if try await CheckTime.hasEnded(task, within: options.timeLimit) { return true }
            record.hangs(after: options.timeLimit)
            task.cancel()
            return try await CheckTime.hasEnded(task, within: patience)
        } onCancel: {
            task.cancel()
        }
        try Task.checkCancellation()
        if let failure = record.failure {
            return failure + (hasEnded ? "" : "; aborted and cancelled, it still does not end")
        }
        try await task.value
        return record.hasBegun ? nil : "there was no pair to check it with: `make` did not call its body"
    }

    private func perform(_ first: Transport, _ second: Transport, _ record: CheckRecord) async {
        let abort = { @Sendable in
            await first.abort()
            await second.abort()
        }
        record.began(abort: abort)
        let (near, far) = isSwapped ? (second, first) : (first, second)
        do {
            try await check(TransportCheck(near, far, options: options, record: record, random: random))
        } catch {
            if !(error is CheckStopped) { record.note("\(error)") }
        }
        _ = try? await record.step("an abort, to clear away") { await abort() }
    }
}
