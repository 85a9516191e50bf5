// `aio.clock` on the real clock: sleeping, being cancelled, and the end of the proactor.

import AIO
import Testing

extension Loopback {
    @Suite struct ClockTests {
        @Test func `a sleep takes as long as was asked for, and not less`() async throws {
            try await withProactor(.testing()) { aio in
                let start = ContinuousClock.now
                let before = aio.clock.now
                try await aio.clock.sleep(for: .milliseconds(20))
                #expect(ContinuousClock.now - start >= .milliseconds(20))
                #expect(before.duration(to: aio.clock.now) >= .milliseconds(20))
            }
        }

        @Test func `a sleep until what has passed returns, and a cancelled one throws`() async throws {
            try await withProactor(.testing()) { aio in
                let clock = aio.clock
                try await clock.sleep(until: clock.now.advanced(by: .seconds(-5)))
                let sleeping = Task { try await clock.sleep(for: .seconds(600)) }
                sleeping.cancel()
                await #expect(throws: CancellationError.self) { try await sleeping.value }
            }
        }

        @Test func `who sleeps when the proactor ends is woken and told, and later sleeps do not begin`()
            async throws
        {
            let aio = try Proactor(.testing())
            let clock = aio.clock
            let sleeping = (0..<3).map { _ in Task { try await clock.sleep(for: .seconds(600)) } }
            try await aio.shutdown()
            for task in sleeping {
                #expect(await errorCode(of: { try await task.value }) == .shutDown)
            }
            #expect(await errorCode(of: { try await clock.sleep(for: .milliseconds(1)) }) == .shutDown)
        }

        @Test
        func `instants are as far apart as durations say, in both directions, to the ends of the clock`() {
            let clock = AIOClock.Instant(.init(nanoseconds: 5_000_000_000))
            let later = clock.advanced(by: .seconds(3))
            #expect(clock.duration(to: later) == .seconds(3) && later.duration(to: clock) == .seconds(-3))
            #expect(clock.advanced(by: .seconds(-60)).duration(to: clock) == .seconds(5))
            let far = Duration.seconds(Int64.max)
            let end = clock.advanced(by: far).advanced(by: far).advanced(by: far)
            #expect(end > later && end.advanced(by: .seconds(1)) == end)
        }
    }
}
