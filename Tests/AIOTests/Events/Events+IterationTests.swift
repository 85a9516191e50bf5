// Taking events on several threads: cancelling in the middle, and one consumer at a time. The rest is tested in simulation.

import AIO
import Testing

extension Loopback {
    @Suite struct IterationTests {
        @Test func `cancelling the task that iterates ends the loop, and loses nothing`() async throws {
            try await withProactor(.testing()) { aio in
                for round in 0..<50 {
                    let consumer = Task.detached {
                        var count = 0
                        for await _ in aio.events { count += 1 }
                        return count
                    }
                    // Some are cancelled before they sleep, some asleep, some with something to take.
                    for _ in 0..<(round % 10) { await Task.yield() }
                    let posting = Task.detached { try aio.events.post(round) }
                    if round.isMultiple(of: 3) { try await posting.value }
                    consumer.cancel()
                    let taken = await consumer.value
                    try await posting.value
                    #expect(taken + aio.events.drain().count == 1)
                }
            }
        }

        @Test func `a second consumer at the same time ends the process with an explanation`() async throws {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let aio = try Proactor()
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<2 {
                        group.addTask { for await _ in aio.events {} }
                    }
                }
            }
            let output = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
            #expect(output.contains("aio.events has one consumer at a time"))
        }
    }
}
