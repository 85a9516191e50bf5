// When the watchdog looks, when it sleeps, and that no job begins unseen in between, in virtual time.

import AIOKernel
@testable import AIOTesting
import Testing

@testable import AIOWorkers

@Suite struct WatchdogTests {
    // MARK: What is reported

    @Test func `a job is reported at the threshold, and again when its time has doubled`() throws {
        let stepped = try SteppedWatchdog()
        stepped.progress.advance()
        stepped.pass(.milliseconds(1_000))
        // Its time counts from the look that first sees it, 25 ms after it began.
        #expect(stepped.reportedMilliseconds == [50, 100, 200, 400, 800])
        #expect(stepped.violations == [])
    }

    @Test func `a thread that waits, however long, and one with many short jobs, are not reported`() throws {
        let stepped = try SteppedWatchdog()
        let waiting = JobProgress(name: "waiting")
        stepped.watchdog.watch(waiting)
        // A job that has begun and ended.
        waiting.advance()
        waiting.advance()
        for _ in 0..<2_000 {
            stepped.progress.advance()
            stepped.pass(.milliseconds(40))
            stepped.progress.advance()
        }
        stepped.pass(.seconds(3_600))
        #expect(stepped.reportedMilliseconds == [])
        #expect(stepped.violations == [])
    }

    @Test func `without a threshold nothing is reported, and no job wakes it`() throws {
        let stepped = try SteppedWatchdog(threshold: nil)
        let steps = stepped.stepCount
        stepped.pass(.seconds(60))
        stepped.alarm.jobsBegin()
        stepped.progress.advance()
        stepped.pass(.seconds(86_400))
        #expect(stepped.stepCount == steps && stepped.reportedMilliseconds == [])
        #expect(stepped.violations == [])
    }

    // MARK: Falling asleep

    @Test func `when nothing runs it looks once more, and then sleeps without end`() throws {
        let stepped = try SteppedWatchdog()
        stepped.pass(SteppedWatchdog.idleTime)
        #expect(stepped.timeUntilNextLook == SteppedWatchdog.lookInterval)
        stepped.pass(SteppedWatchdog.lookInterval)
        #expect(stepped.timeUntilNextLook == nil)
        let steps = stepped.stepCount
        stepped.pass(.seconds(3_600))
        #expect(stepped.stepCount == steps, "an idle process was woken")
        #expect(stepped.violations == [])
    }

    /// A job's thread reads the flag, then the watchdog sets it, having seen no job; then the job begins.
    @Test func `a job that begins just as it falls asleep, and knows nothing of that, is reported`() throws {
        let stepped = try SteppedWatchdog()
        stepped.pass(SteppedWatchdog.idleTime)
        stepped.progress.advance()
        stepped.pass(.seconds(1))
        #expect(stepped.reportedMilliseconds.first == 50)
        #expect(stepped.violations == [])
    }

    @Test func `what else wakes it does not make its last look come early`() throws {
        let stepped = try SteppedWatchdog()
        stepped.pass(SteppedWatchdog.idleTime)
        let called = Calls()
        stepped.watchdog.call(after: .zero) { called.count += 1 }
        stepped.goOn()
        #expect(called.count == 1)
        #expect(stepped.timeUntilNextLook == SteppedWatchdog.lookInterval)
        stepped.progress.advance()
        stepped.pass(.seconds(1))
        #expect(stepped.reportedMilliseconds.first == 50)
        #expect(stepped.violations == [])
    }

    @Test(arguments: [SteppedWatchdog.idleTime, .seconds(60)])
    func `a job that wakes it is seen, even if it begins only a while later`(idle: Duration) throws {
        let stepped = try SteppedWatchdog()
        stepped.pass(idle)
        stepped.alarm.jobsBegin()
        stepped.goOn()
        // Its thread lost the processor between the two.
        stepped.pass(.seconds(1))
        stepped.progress.advance()
        stepped.pass(.seconds(1))
        #expect(stepped.reportedMilliseconds.first == 50)
        // And when it has ended, the watchdog goes to sleep again.
        stepped.progress.advance()
        stepped.pass(.seconds(11))
        #expect(stepped.timeUntilNextLook == nil)
        #expect(stepped.violations == [])
    }

    @Test func `a call that falls due while it sleeps is made, and the next job wakes it all the same`()
        throws
    {
        let stepped = try SteppedWatchdog()
        stepped.pass(.seconds(11))
        let called = Calls()
        stepped.watchdog.call(after: .seconds(5)) { called.count += 1 }
        stepped.goOn()
        #expect(stepped.timeUntilNextLook == .seconds(5))
        stepped.pass(.seconds(5))
        #expect(called.count == 1)
        #expect(stepped.timeUntilNextLook == nil)
        stepped.alarm.jobsBegin()
        stepped.goOn()
        #expect(stepped.timeUntilNextLook == SteppedWatchdog.lookInterval)
        #expect(stepped.violations == [])
    }
}

/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
private final class Calls: @unchecked Sendable {
    var count = 0
}

/// A watchdog on a simulated kernel. The test is its thread, and moves its time.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
final class SteppedWatchdog: @unchecked Sendable {
    static let threshold = Duration.milliseconds(50)
    /// Half of the threshold.
    static let lookInterval = Duration.milliseconds(25)
    /// How long nothing runs before it begins to fall asleep.
    static let idleTime = Duration.seconds(10)

    let alarm: WatchdogAlarm
    let watchdog: Watchdog
    /// Of the one thread that it watches from the beginning.
    let progress = JobProgress(name: "test")
    private(set) var stepCount = 0
    private let world = SimulatedWorld(seed: 1)
    private let reports: Reports
    private var state = ThreadStep.proceed

    /// Sendable, unchecked: as all of it.
    private final class Reports: @unchecked Sendable {
        var messages: [String] = []
    }

    init(threshold: Duration? = threshold) throws {
        let reports = Reports()
        self.reports = reports
        alarm = WatchdogAlarm(kernel: world.kernel)
        watchdog = try Watchdog(kernel: world.kernel, alarm: alarm, threshold: threshold) { report in
            reports.messages.append(report.message)
        }
        watchdog.watch(progress)
        goOn()
    }

    /// Steps until it sleeps, which it does when nobody has woken it and its deadline lies ahead.
    func goOn() {
        while !sleeps {
            stepCount += 1
            state = watchdog.step()
        }
    }

    private var sleeps: Bool {
        guard case .wait(let epoll, let deadline) = state, !world.kernel.hasSomething(on: epoll) else {
            return false
        }
        return deadline.map { $0 > world.kernel.now } ?? true
    }

    /// Lets time pass; the watchdog goes on whenever it asked to be woken.
    func pass(_ duration: Duration) {
        let end = world.kernel.now.advanced(by: duration)
        while let deadline, deadline <= end {
            world.network.time.advance(to: deadline)
            goOn()
        }
        world.network.time.advance(to: end)
    }

    private var deadline: MonotonicTime? {
        if case .wait(_, let deadline) = state { deadline } else { nil }
    }

    /// nil: it sleeps until somebody wakes it.
    var timeUntilNextLook: Duration? {
        deadline.map { .nanoseconds(Int64($0.nanoseconds(since: world.kernel.now))) }
    }

    /// For how long, as its reports say, the job had run.
    var reportedMilliseconds: [Int] {
        reports.messages.compactMap { message in
            message.split(separator: " ").compactMap { Int($0) }.first
        }
    }

    /// Rules of the kernel that it broke, such as a wait outside of the schedule.
    var violations: [String] { world.trace.violations }
}
