// Which address of a host is tried when, and what ends the trying: the rules of RFC 8305 (Happy Eyeballs,
// version 2), without sockets and clocks. Driven by Dial.swift on the worker; the test walks every state with
// every stimulus.

package import AIOKernel

/// A race between connection attempts, as a pure value.
///
/// ```
///   resolving ──resolved──▶ racing ──connected──▶ over    (one attempt has won)
///                             │  an attempt failed: the next address, or
///                             └──────────────────▶ over    (none is left: the last error)
/// ```
///
/// The addresses are tried in the resolver's order, which is that of RFC 6724, but with the families taking
/// turns (section 4, "First Address Family Count" of 1): a family that does not work from here costs one
/// delay and not one for each of its addresses. An attempt gets a head start, the Connection Attempt Delay
/// (section 5), and then the next one starts *beside* it; who fails before that hands on at once. Only the
/// youngest attempt does so: an older one that fails has handed on already, and the youngest has its head
/// start still.
///
/// There is one more way for an attempt to go: a Unix listener whose queue is full answers EAGAIN and nothing
/// is under way (connect(2)), while TCP would knock again by itself. Such an attempt rests and is then begun
/// once more, after 1 ms, 2 ms and so on up to 100 ms.
///
/// Attempts are numbered by their address's place in the order. Time is the driver's: it measures delays and
/// says when they have passed, and it alone knows the deadline.
package struct DialRace: ~Copyable, Sendable {
    /// What the driver does next. One action a stimulus.
    package enum Action: Equatable, Sendable {
        /// Nothing: an attempt's outcome or a delay is being waited for, or the race is over.
        case wait
        /// Begin this attempt, then measure `delayBeforeNext`.
        case start(attempt: Int, Endpoint)
        /// Say `delayPassed` after this long.
        case rest(Duration)
        /// The connection is made: keep this attempt, drop the others.
        case won(attempt: Int)
        /// No address is left.
        case failed(AIOError)
    }

    fileprivate struct Racing {
        let order: [Endpoint]
        /// Addresses begun: the next one's number, too.
        var begunCount = 0
        /// Begun, and neither failed nor at rest.
        var underWay: [Int] = []
        var resting: Int?
        var restDelay = DialRace.shortestRest
        var lastError: AIOError?
    }

    fileprivate enum State {
        case resolving
        case racing(Racing)
        case over
    }

    fileprivate var state = State.resolving

    fileprivate static let shortestRest: Duration = .milliseconds(1)
    fileprivate static let longestRest: Duration = .milliseconds(100)

    /// What RFC 8305 section 8 allows: a delay below the minimum floods the network, one above the maximum
    /// helps nobody.
    package static let attemptDelayRange: ClosedRange<Duration> = .milliseconds(10)...(.seconds(2))

    package init() {}

    // MARK: Stimuli

    /// The host's addresses, in the order the resolver would try them.
    package mutating func resolved(_ addresses: [Endpoint]) -> Action {
        switch state {
        case .resolving: return startNext(Racing(order: Self.interleaved(addresses)))
        case .racing, .over: return .wait
        }
    }

    package mutating func attemptFailed(_ attempt: Int, _ error: AIOError) -> Action {
        switch state {
        case .racing(var racing):
            guard racing.leave(attempt) else { return .wait }
            racing.lastError = error
            if attempt == racing.begunCount - 1 || racing.isIdle { return startNext(racing) }
            state = .racing(racing)
            return .wait
        case .resolving, .over:
            return .wait
        }
    }

    /// The listener's queue is full: nothing was begun, and trying again may help.
    package mutating func attemptFoundQueueFull(_ attempt: Int) -> Action {
        switch state {
        case .racing(var racing):
            guard racing.leave(attempt) else { return .wait }
            let delay = racing.restDelay
            racing.resting = attempt
            racing.restDelay = min(delay * 2, Self.longestRest)
            state = .racing(racing)
            return .rest(delay)
        case .resolving, .over:
            return .wait
        }
    }

    /// The head start of the youngest attempt, or an attempt's rest, is over.
    package mutating func delayPassed() -> Action {
        switch state {
        case .racing(var racing):
            if let attempt = racing.resting {
                racing.resting = nil
                return start(attempt, racing)
            }
            guard racing.begunCount < racing.order.count else { return .wait }
            return startNext(racing)
        case .resolving, .over:
            return .wait
        }
    }

    package mutating func connected(_ attempt: Int) -> Action {
        switch state {
        case .racing(let racing):
            guard racing.underWay.contains(attempt) else { return .wait }
            state = .over
            return .won(attempt: attempt)
        case .resolving, .over:
            return .wait
        }
    }

    // MARK: What the driver asks

    /// How long the attempt that was just begun has for itself; nil if no other would follow it.
    ///
    /// `limit` as a rule. Where that would leave addresses untried at the deadline, an equal share of the
    /// time that is left, but not less than section 8 allows.
    package func delayBeforeNext(limit: Duration, timeLeft: Duration) -> Duration? {
        guard case .racing(let racing) = state, racing.begunCount < racing.order.count else { return nil }
        let share = timeLeft / (racing.order.count - racing.begunCount + 1)
        return max(Self.attemptDelayRange.lowerBound, min(limit, share))
    }

    // MARK: Private

    private mutating func startNext(_ racing: Racing) -> Action {
        var racing = racing
        guard racing.begunCount < racing.order.count else {
            guard racing.isIdle else {
                state = .racing(racing)
                return .wait
            }
            state = .over
            return .failed(racing.lastError ?? AIOError(.hostNotFound, call: "connect"))
        }
        let attempt = racing.begunCount
        racing.begunCount += 1
        return start(attempt, racing)
    }

    private mutating func start(_ attempt: Int, _ racing: Racing) -> Action {
        var racing = racing
        racing.underWay.append(attempt)
        state = .racing(racing)
        return .start(attempt: attempt, racing.order[attempt])
    }

    /// The first address's family, then the other, and so on by turns; what one family has more comes last.
    private static func interleaved(_ addresses: [Endpoint]) -> [Endpoint] {
        guard let family = addresses.first?.address?.family else { return addresses }
        let firsts = addresses.filter { $0.address?.family == family }
        let others = addresses.filter { $0.address?.family != family }
        var order: [Endpoint] = []
        for index in 0..<max(firsts.count, others.count) {
            if index < firsts.count { order.append(firsts[index]) }
            if index < others.count { order.append(others[index]) }
        }
        return order
    }
}

extension DialRace.Racing {
    /// No attempt is under way or will be begun once more.
    fileprivate var isIdle: Bool {
        if case nil = resting { underWay.isEmpty } else { false }
    }

    /// False if the attempt was not under way.
    fileprivate mutating func leave(_ attempt: Int) -> Bool {
        guard let index = underWay.firstIndex(of: attempt) else { return false }
        underWay.remove(at: index)
        return true
    }
}
