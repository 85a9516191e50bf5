// Time saturates at its ends and never traps.

import Testing

@testable import AIOKernel

@Suite struct MonotonicTimeTests {
    @Test func `advancing adds nanoseconds`() {
        let time = MonotonicTime(nanoseconds: 1_000)
        #expect(time.advanced(by: .nanoseconds(500)).nanoseconds == 1_500)
        #expect(time.advanced(by: .nanoseconds(-500)).nanoseconds == 500)
        #expect(time.advanced(by: .zero) == time)
    }

    @Test func `advancing saturates at both ends of the clock`() {
        let late = MonotonicTime(nanoseconds: .max - 10)
        #expect(late.advanced(by: .seconds(1)) == .distantFuture)
        #expect(MonotonicTime.distantFuture.advanced(by: .seconds(Int64.max)) == .distantFuture)
        #expect(MonotonicTime(nanoseconds: 5).advanced(by: .seconds(-1)).nanoseconds == 0)
        #expect(MonotonicTime(nanoseconds: 5).advanced(by: .seconds(Int64.min)).nanoseconds == 0)
    }

    @Test func `the difference of two instants is never negative`() {
        let early = MonotonicTime(nanoseconds: 3)
        let late = MonotonicTime(nanoseconds: 10)
        #expect(late.nanoseconds(since: early) == 7)
        #expect(early.nanoseconds(since: late) == 0)
        #expect(early < late)
    }

    @Test(arguments: [
        (Duration.zero, Int64(0)), (.milliseconds(1), 1_000_000), (.milliseconds(-1), -1_000_000),
        (.seconds(Int64.max), .max), (.seconds(Int64.min), .min),
        (.seconds(9_223_372_036) + .nanoseconds(854_775_807), .max),
        (.seconds(9_223_372_036) + .nanoseconds(854_775_808), .max),
        (.seconds(-9_223_372_036) - .nanoseconds(854_775_808), .min),
        (.seconds(-9_223_372_036) - .nanoseconds(854_775_809), .min),
    ])
    func `whole nanoseconds saturate`(duration: Duration, nanoseconds: Int64) {
        #expect(duration.wholeNanoseconds == nanoseconds)
    }
}
