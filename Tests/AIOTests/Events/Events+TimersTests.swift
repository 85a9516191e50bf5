// Timers by the real clock, and posts from many threads. Cancelling and limits are tested in simulation.

import AIO
import Testing

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
    }
}
