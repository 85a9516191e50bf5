// Timers and posted values: what the loop is told without a connection.

import AIO
import Testing

extension EventTag {
    fileprivate static let marker: EventTag = 999
}

extension Loopback {
    @Suite struct TimersTests {
        @Test func `timers come in the order of their deadlines, and never early`() async throws {
            try await withProactor(.testing()) { aio in
                var starts: [EventTag: ContinuousClock.Instant] = [:]
                let delays = [400, 100, 300, 200, 0]
                for delay in delays {
                    let tag = EventTag(rawValue: UInt64(delay))
                    starts[tag] = .now
                    try aio.events.schedule(after: .milliseconds(delay), tag: tag)
                }
                var tags: [EventTag] = []
                try await aio.run { event in
                    guard case .timer(let tag) = event else { return false }
                    let start = try #require(starts[tag])
                    #expect(ContinuousClock.now - start >= .milliseconds(tag.rawValue))
                    tags.append(tag)
                    return tags.count == delays.count
                }
                #expect(tags == [0, 100, 200, 300, 400])
            }
        }

        @Test func `a cancelled timer does not come, and one that has come cannot be cancelled`() async throws
        {
            try await withProactor(.testing()) { aio in
                let cancelled = try aio.events.schedule(after: .milliseconds(10), tag: 1)
                let far = try aio.events.schedule(after: .seconds(86_400), tag: 2)
                let marker = try aio.events.schedule(after: .milliseconds(30), tag: .marker)
                #expect(cancelled.cancel())
                #expect(!cancelled.cancel())
                #expect(far.cancel())
                let tag: EventTag = try await aio.first { if case .timer(let tag) = $0 { tag } else { nil } }
                #expect(tag == .marker)
                #expect(!marker.cancel())
            }
        }

        @Test func `timersMax bounds the timers that are pending`() async throws {
            try await withProactor(.testing { $0.timersMax = 2 }) { aio in
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

        @Test func `posts of many threads all come, those of one thread in their order`() async throws {
            struct Note: Sendable { let thread: Int, number: Int }
            let threads = 8
            let each = isSanitized ? 500 : 3_000
            try await withProactor(.testing()) { aio in
                let posting = (0..<threads).map { thread in
                    Task.detached {
                        try await onThread {
                            for number in 0..<each {
                                try aio.events.post(Note(thread: thread, number: number))
                            }
                        }
                    }
                }
                var next = [Int](repeating: 0, count: threads)
                var count = 0
                try await aio.run { event in
                    guard case .posted(let value) = event else { return false }
                    let note = try #require(value as? Note)
                    #expect(next[note.thread] == note.number)
                    next[note.thread] = note.number + 1
                    count += 1
                    return count == threads * each
                }
                for task in posting { try await task.value }
                #expect(next == [Int](repeating: each, count: threads))
            }
        }

        @Test func `postsMax bounds the posts that nobody has taken`() async throws {
            try await withProactor(.testing { $0.postsMax = 3 }) { aio in
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
}
