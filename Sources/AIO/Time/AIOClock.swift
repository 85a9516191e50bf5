// The clock of a proactor, for programs that wait or measure: the one that all its deadlines go by, and in a simulated test
// the one that the test moves.

import AIOKernel
import AIOWorkers

/// The monotonic clock that a proactor's deadlines go by (`CLOCK_MONOTONIC`, clock_gettime(2)).
///
/// Code that takes its time from here and not from `ContinuousClock` or `Task.sleep` can be tested in virtual time: under
/// `AIOTesting` this clock stands still until nobody can go on, and then jumps to the next deadline.
///
/// ```swift
/// try await aio.clock.sleep(for: .seconds(30))
/// ```
public struct AIOClock: Clock {
    /// An instant of this clock. Those of different machines, and of different simulations, have nothing to do with each other.
    public struct Instant: InstantProtocol {
        package let time: MonotonicTime

        package init(_ time: MonotonicTime) { self.time = time }

        /// Ends at the ends of the clock, 584 years apart, instead of overflowing.
        public func advanced(by duration: Duration) -> Instant { Instant(time.advanced(by: duration)) }

        public func duration(to other: Instant) -> Duration {
            if other.time < time { return .zero - other.duration(to: self) }
            let (seconds, rest) = other.time.nanoseconds(since: time).quotientAndRemainder(
                dividingBy: 1_000_000_000)
            return .seconds(Int64(seconds)) + .nanoseconds(Int64(rest))
        }

        public static func < (a: Instant, b: Instant) -> Bool { a.time < b.time }
    }

    private let source: any ClockSource

    package init(_ source: any ClockSource) { self.source = source }

    public var now: Instant { Instant(source.currentTime) }

    /// What timers tick in.
    public var minimumResolution: Duration { .milliseconds(1) }

    /// Suspends until `deadline`, or a millisecond later at most unless the machine is busy; `tolerance` asks for nothing
    /// better. Returns at once if that has passed.
    ///
    /// The timer is one of the proactor's workers'; while a task sleeps it holds no thread.
    /// - Throws: `CancellationError` as soon as the task is cancelled; `AIOError(.shutDown)` once the proactor has ended.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        try await source.sleep(until: deadline.time)
    }
}

/// What a clock stands on: a worker, or a simulation.
package protocol ClockSource: Sendable {
    var currentTime: MonotonicTime { get }
    func sleep(until deadline: MonotonicTime) async throws
}

extension Worker: ClockSource {
    package var currentTime: MonotonicTime { kernel.now }
}

/// Each sleep on a worker of its own, in turn; on the caller's, if that is one.
private struct EngineTime: ClockSource {
    let engine: Engine

    var currentTime: MonotonicTime { engine.kernel.now }

    func sleep(until deadline: MonotonicTime) async throws {
        try await (engine.currentWorker ?? engine.nextWorker()).sleep(until: deadline)
    }
}

extension Proactor {
    /// The clock that the deadlines of this proactor go by.
    public var clock: AIOClock { AIOClock(EngineTime(engine: engine)) }
}
