// Timers and posted values: what the loop is told without a connection.

import AIO
import AIOTesting
import Testing

extension EventTag {
    fileprivate static let marker: EventTag = 999
}

@Suite struct TimersTests {
    @Test(.simulated(seeds: 0..<20), arguments: [1, 2])
    func `timers come in the order of their deadlines, never early, and less than two milliseconds late`(
        workers: Int
    ) async throws {
        try await withProgram(within: .seconds(401), configure: { $0.workerCount = workers }) { world, aio in
            let start = world.clock.now
            let delays = [400, 100, 300, 200, 0]
            for delay in delays {
                try aio.events.schedule(after: .seconds(delay), tag: EventTag(rawValue: UInt64(delay)))
            }
            var tags: [EventTag] = []
            try await aio.run { event in
                guard case .timer(let tag) = event else { return false }
                let passed = start.duration(to: world.clock.now)
                let due = Duration.seconds(tag.rawValue)
                #expect(passed >= due && passed < due + .milliseconds(2))
                tags.append(tag)
                return tags.count == delays.count
            }
            #expect(tags == [0, 100, 200, 300, 400])
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a cancelled timer does not come, and one that has come cannot be cancelled`() async throws {
        try await withProgram(within: .seconds(31)) { _, aio in
            let cancelled = try aio.events.schedule(after: .seconds(10), tag: 1)
            let far = try aio.events.schedule(after: .seconds(86_400), tag: 2)
            let marker = try aio.events.schedule(after: .seconds(30), tag: .marker)
            #expect(cancelled.cancel())
            #expect(!cancelled.cancel())
            #expect(far.cancel())
            let tag: EventTag = try await aio.first { if case .timer(let tag) = $0 { tag } else { nil } }
            #expect(tag == .marker)
            #expect(!marker.cancel())
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `timersMax bounds the timers that are pending`() async throws {
        try await withProgram(configure: { $0.timersMax = 2 }) { _, aio in
            let first = try aio.events.schedule(after: .seconds(1_000), tag: 1)
            try aio.events.schedule(after: .milliseconds(1), tag: 2)
            let error = try #require(throws: AIOError.self) {
                try aio.events.schedule(after: .milliseconds(1), tag: 3)
            }
            #expect(error.code == .limitReached && error.detail?.contains("timersMax") == true)
            // One that has come, and one that is cancelled, make room.
            try await aio.run { if case .timer(2) = $0 { true } else { false } }
            try aio.events.schedule(after: .seconds(1_000), tag: 4)
            #expect(throws: AIOError.self) { try aio.events.schedule(after: .seconds(1), tag: 5) }
            first.cancel()
            #expect(throws: Never.self) { try aio.events.schedule(after: .seconds(1), tag: 6) }
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `postsMax bounds the posts that nobody has taken`() async throws {
        try await withProgram(configure: { $0.postsMax = 3 }) { _, aio in
            for number in 0..<3 { try aio.events.post(number) }
            let error = try #require(throws: AIOError.self) { try aio.events.post(3) }
            #expect(error.code == .limitReached && error.detail?.contains("postsMax") == true)
            #expect(aio.events.drain(atMost: 1).count == 1)
            try aio.events.post(4)
            #expect(throws: AIOError.self) { try aio.events.post(5) }
            let values = aio.events.drain().map { event -> Int? in
                if case .posted(let value) = event { value as? Int } else { nil }
            }
            #expect(values == [1, 2, 4])
        }
    }
}
