// Taking events: stopping and going on, cancelling, draining, batches, and one consumer at a time.

import AIO
import Testing

extension Loopback {
    @Suite struct IterationTests {
        @Test func `breaking out of the loop loses nothing`() async throws {
            try await withProactor(.testing()) { aio in
                for number in 0..<100 { try aio.events.post(number) }
                var numbers: [Int] = []
                for _ in 0..<100 {
                    for await event in aio.events {
                        if case .posted(let value) = event, let number = value as? Int {
                            numbers.append(number)
                        }
                        break
                    }
                }
                #expect(numbers == Array(0..<100))
            }
        }

        @Test func `breaking in the middle of a connection's bytes goes on in the middle`() async throws {
            try await withProactor(
                .testing {
                    $0.workerCount = 1; $0.slabByteCount = 4_096
                }
            ) { aio in
                let pair = try await aio.pair()
                pair.client.send(Pattern.bytes(at: 0, count: 300_000))
                pair.client.finish()
                var position = 0
                var iterations = 0
                var isClosed = false
                while !isClosed {
                    iterations += 1
                    for await event in aio.events {
                        if case .received(let bytes, pair.server) = event {
                            #expect(Pattern.matches(bytes, at: position))
                            position += bytes.count
                        }
                        if case .closed(pair.server, _) = event { isClosed = true }
                        break
                    }
                }
                #expect(position == 300_000)
                #expect(iterations > 20)
            }
        }

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

        @Test func `a task that is cancelled already gets nothing`() async throws {
            try await withProactor(.testing()) { aio in
                try aio.events.post(1)
                let count = await Task.detached {
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    var count = 0
                    for await _ in aio.events { count += 1 }
                    for await _ in aio.events.batches { count += 1 }
                    return count
                }.value
                #expect(count == 0)
                #expect(aio.events.drain().count == 1)
            }
        }

        @Test func `drain takes what is there and does not wait, inside a loop and outside`() async throws {
            try await withProactor(.testing()) { aio in
                #expect(aio.events.drain().isEmpty)
                for number in 0..<10 { try aio.events.post(number) }
                #expect(aio.events.drain(atMost: 0).isEmpty)
                #expect(aio.events.drain(atMost: 3).count == 3)
                var rest: [Int] = []
                for await event in aio.events {
                    for event in [event] + aio.events.drain() {
                        if case .posted(let value) = event, let number = value as? Int { rest.append(number) }
                    }
                    break
                }
                #expect(rest == Array(3..<10))
                #expect(aio.events.drain().isEmpty)
            }
        }

        @Test func `batches have at least one event and at most a thousand and twenty-four`() async throws {
            try await withProactor(.testing()) { aio in
                for number in 0..<2_500 { try aio.events.post(number) }
                var sizes: [Int] = []
                var numbers: [Int] = []
                for await batch in aio.events.batches {
                    sizes.append(batch.count)
                    for case .posted(let value) in batch { numbers.append(value as? Int ?? -1) }
                    if numbers.count == 2_500 { break }
                }
                #expect(sizes == [1_024, 1_024, 452])
                #expect(numbers == Array(0..<2_500))
                // Asleep, and woken by the next.
                async let next = aio.events.batches.first { _ in true }
                try aio.events.post(1)
                #expect(await next?.count == 1)
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
