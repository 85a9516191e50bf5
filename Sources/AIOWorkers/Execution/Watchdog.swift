// A thread that watches the threads that run handlers, and says so when a job holds one of them for too long.
// Also the one thread whose timers no handler can hold up: shutdown's last deadline is kept here.

import AIOBytes
package import AIOKernel
import Synchronization

/// What a thread tells the watchdog of its jobs. Written by the thread, read by the watchdog, relaxed: a look that
/// comes a moment too early or late only looks again.
package final class JobProgress: Sendable {
    let name: String
    /// Odd while a job runs; advanced at its beginning and at its end.
    private let number = Atomic<UInt64>(0)
    /// The connection that a job on this thread has last read from.
    private let connection = Atomic<UInt64>(0)

    init(name: String) { self.name = name }

    func read(from connection: UInt64) { self.connection.store(connection, ordering: .relaxed) }
    var lastConnection: UInt64 { connection.load(ordering: .relaxed) }

    /// At the beginning and at the end of each job.
    func advance() { number.store(number.load(ordering: .relaxed) &+ 1, ordering: .relaxed) }

    var current: UInt64 { number.load(ordering: .relaxed) }
}

/// How a thread that begins to run jobs wakes a watchdog that sleeps because none ran. There before the watchdog is.
///
/// Sendable, unchecked: `counter` is under `lock`.
final class WatchdogAlarm: @unchecked Sendable {
    private let kernel: any Kernel
    private let lock = PosixLock()
    private var counter: Descriptor?
    /// Set by the watchdog when it begins to doze, cleared by itself when it is awake again or by the thread that
    /// wakes it. Relaxed: a thread that has not seen it yet is seen instead, by the look that ends the doze.
    fileprivate let watchdogSleeps = Atomic<Bool>(false)

    init(kernel: any Kernel) { self.kernel = kernel }

    /// A watched thread is about to run jobs.
    func jobsBegin() {
        guard watchdogSleeps.load(ordering: .relaxed), watchdogSleeps.exchange(false, ordering: .relaxed)
        else {
            return
        }
        ring()
    }

    fileprivate func ring() {
        lock.withLock {
            if counter != nil { kernel.signal(counter!) }
        }
    }

    fileprivate func connect(_ counter: consuming Descriptor) {
        lock.lock()
        self.counter = consume counter
        lock.unlock()
    }

    fileprivate func disconnect() { lock.withLock { counter = nil } }
}

/// Looks at every watched thread twice in each threshold, and reports a job that has run for longer than that: then,
/// and again each time that its time has doubled. It sleeps while nothing runs: after ten seconds without a job it
/// waits to be woken by the next, so an idle process is not woken by it.
///
/// Theory of operation of the falling asleep.
///
///     awake ──ten seconds without a job──▶ dozing ──nothing seen by one more look──▶ asleep
///       ▲                                    │                                         │
///       └──── a job was seen, or its thread cleared the flag ──────────────────────────┘
///
/// A thread looks at the alarm's flag before it runs jobs, in every pass, and so with one relaxed load and no fence. It
/// may miss a flag that is set at that moment, and the watchdog may just have missed its job. So the watchdog sets the
/// flag, dozes for one more interval, and looks again: a thread that read the flag before it was set has advanced its
/// progress by then, and is seen; one that reads it later finds it, and rings. What is left is a thread that loses the
/// processor for the whole interval between its load and its job; a fence would cost every pass to tell of that one.
/// The flag stays set while calls fall due, or each of them would open the gap again.
package final class Watchdog: ThreadBody, @unchecked Sendable {
    private let kernel: any Kernel
    private let threshold: Duration
    private let report: @Sendable (Report) -> Void

    private let alarm: WatchdogAlarm

    private let lock = PosixLock()
    // Under `lock`.
    private var newlyWatched: [JobProgress] = []
    private var calls: [(due: MonotonicTime, body: @Sendable () -> Void)] = []
    private var mustEnd = false

    // Thread-bound.
    private var epoll: Descriptor?
    private let epollNumber: Int32
    private let readiness = ReadinessBatch(capacity: 1)
    private var watched: [Watched] = []
    private var sleepsUntil: MonotonicTime?
    private var idleSince: MonotonicTime
    private var isWaiting = false
    private var wakefulness = Wakefulness.awake

    private enum Wakefulness {
        case awake
        /// The alarm's flag is set; looks once more at this time.
        case dozing(until: MonotonicTime)
        /// The same, and looks no more.
        case asleep
    }

    /// A threshold above this is none.
    private static let longestThreshold: Duration = .seconds(86_400)

    private struct Watched {
        let progress: JobProgress
        var seen: UInt64
        var since: MonotonicTime
        var reportAt: Duration
    }

    init(
        kernel: any Kernel, alarm: WatchdogAlarm, threshold: Duration?,
        report: @escaping @Sendable (Report) -> Void
    ) throws(AIOError) {
        self.kernel = kernel
        self.alarm = alarm
        self.threshold = threshold ?? .seconds(Int64.max / 4)
        self.report = report
        idleSince = kernel.now
        let epoll = try kernel.makeEpoll()
        let counter = try kernel.makeEventCounter()
        try kernel.add(counter, to: epoll, interest: .input, token: 0)
        epollNumber = epoll.number
        self.epoll = consume epoll
        alarm.connect(counter)
    }

    // MARK: From any thread

    func watch(_ progress: JobProgress) {
        lock.withLock { newlyWatched.append(progress) }
        alarm.ring()
    }

    /// Calls `body` on the watchdog's thread once `delay` has passed, unless the watchdog ends before.
    func call(after delay: Duration, _ body: @escaping @Sendable () -> Void) {
        lock.withLock {
            if !mustEnd { calls.append((kernel.now.advanced(by: delay), body)) }
        }
        alarm.ring()
    }

    func requestEnd() {
        lock.withLock { mustEnd = true }
        alarm.ring()
    }

    /// For tests: calls that are still to be made.
    var callsAheadCount: Int { lock.withLock { calls.count } }

    // MARK: The thread

    package func step() -> ThreadStep {
        if isWaiting {
            isWaiting = false
            wait()
        }
        if lock.withLock({ mustEnd }) { return finish() }
        let now = kernel.now
        takeNewlyWatched(now: now)
        for body in takeDueCalls(now: now) { body() }
        look(now: now)
        sleepsUntil = nextLook(now: now)
        isWaiting = true
        return .wait(epoll: epollNumber, deadline: sleepsUntil)
    }

    private func wait() {
        let timeout = sleepsUntil.map {
            Duration.nanoseconds(Int64(clamping: $0.nanoseconds(since: kernel.now)))
        }
        _ = kernel.wait(on: epoll!, into: readiness, timeout: timeout)
        readiness.removeAll()
    }

    private func takeNewlyWatched(now: MonotonicTime) {
        let new = lock.withLock { () -> [JobProgress] in
            defer { newlyWatched = [] }
            return newlyWatched
        }
        for progress in new {
            watched.append(
                Watched(progress: progress, seen: progress.current, since: now, reportAt: threshold))
        }
        if !new.isEmpty { idleSince = now }
    }

    private func takeDueCalls(now: MonotonicTime) -> [@Sendable () -> Void] {
        lock.withLock {
            let due = calls.filter { $0.due <= now }.map(\.body)
            calls.removeAll { $0.due <= now }
            return due
        }
    }

    private func look(now: MonotonicTime) {
        for index in watched.indices {
            let current = watched[index].progress.current
            guard current == watched[index].seen else {
                watched[index].seen = current
                watched[index].since = now
                watched[index].reportAt = threshold
                idleSince = now
                continue
            }
            // Even: no job runs.
            guard current % 2 == 1 else { continue }
            idleSince = now
            let time = Duration.nanoseconds(Int64(clamping: now.nanoseconds(since: watched[index].since)))
            guard time >= watched[index].reportAt else { continue }
            watched[index].reportAt = time * 2
            tell(watched[index].progress, time: time)
        }
    }

    private func tell(_ progress: JobProgress, time: Duration) {
        let milliseconds =
            time.components.seconds * 1_000 + time.components.attoseconds / 1_000_000_000_000_000
        let connection = progress.lastConnection
        let last = connection == 0 ? "" : "; the last connection read there is \(connection)"
        report(
            Report(
                .warning,
                "a handler, framer or pattern has held thread \(progress.name) for \(milliseconds) ms, and with it all that runs there\(last)"
            ))
    }

    private func nextLook(now: MonotonicTime) -> MonotonicTime? {
        let nextCall = lock.withLock { calls.map(\.due).min() }
        // One that watches nothing is not to be woken for jobs.
        guard !watched.isEmpty, threshold <= Self.longestThreshold else { return nextCall }
        let next = now.advanced(by: max(.milliseconds(1), min(threshold / 2, .seconds(3_600))))
        fallAsleepOrWake(now: now, next: next)
        switch wakefulness {
        case .awake: return min(next, nextCall ?? next)
        case .dozing(let end): return min(end, nextCall ?? end)
        case .asleep: return nextCall
        }
    }

    private func fallAsleepOrWake(now: MonotonicTime, next: MonotonicTime) {
        // Whoever has cleared it runs a job, or is about to.
        if !isAwake, !alarm.watchdogSleeps.load(ordering: .relaxed) { idleSince = now }
        guard now >= idleSince.advanced(by: .seconds(10)) else {
            wakefulness = .awake
            return alarm.watchdogSleeps.store(false, ordering: .relaxed)
        }
        switch wakefulness {
        case .awake:
            alarm.watchdogSleeps.store(true, ordering: .relaxed)
            wakefulness = .dozing(until: next)
        case .dozing(let end) where now >= end: wakefulness = .asleep
        case .dozing, .asleep: break
        }
    }

    private var isAwake: Bool { if case .awake = wakefulness { true } else { false } }

    private func finish() -> ThreadStep {
        alarm.disconnect()
        epoll = nil
        // What was still to be called holds its engine, which holds this.
        let uncalled = lock.withLock {
            defer { calls = [] }
            return calls
        }
        _ = consume uncalled
        return .finished
    }
}
