// Taking events: stopping and going on, cancelling, draining, batches.

import AIO
import AIOTesting
import Testing

@Suite struct IterationTests {
    private func number(_ event: Event) -> Int? {
        if case .posted(let value) = event { value as? Int } else { nil }
    }

    @Test(.simulated(seeds: 0..<20)) func `breaking out of the loop loses nothing`() async throws {
        try await withProgram { _, aio in
            for number in 0..<50 { try aio.events.post(number) }
            var numbers: [Int] = []
            for _ in 0..<50 {
                for await event in aio.events {
                    if let number = number(event) { numbers.append(number) }
                    break
                }
            }
            #expect(numbers == Array(0..<50))
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: [Arrival.drawn, .together, .chaos])
    func `breaking in the middle of a connection's bytes goes on in the middle`(_ arrival: Arrival)
        async throws
    {
        try await withProgram { world, aio in
            let met = try await aio.meet(in: world, arrival: arrival)
            async let sent: Void = met.peer.sendTape(100_000)
            var position = 0
            var iterations = 0
            while position < 100_000 {
                iterations += 1
                try #require(iterations < 200_000)
                for await event in aio.events {
                    if case .received(let bytes, met.server) = event {
                        #expect(Tape.matches(bytes, at: position))
                        position += bytes.count
                    }
                    break
                }
            }
            try await sent
            #expect(iterations >= 100_000 / 4_096, "a slab at a time")
        }
    }

    /// One post, and an iteration that is cancelled at about that moment: whether that has taken it.
    private func raceCancelling() async throws -> Bool {
        var taken = 0
        try await withProgram { world, aio in
            let consumer = Task(executorPreference: world.taskExecutor) {
                var count = 0
                for await _ in aio.events { count += 1 }
                return count
            }
            async let posted: Void = {
                for _ in 0..<Int(world.seed % 7) { await Task.yield() }
                try aio.events.post(1)
            }()
            for _ in 0..<Int(world.seed / 7 % 5) { await Task.yield() }
            consumer.cancel()
            taken = await consumer.value
            try await posted
            #expect(taken + aio.events.drain().count == 1)
        }
        return taken == 1
    }

    @Test(.simulated(seeds: 0..<200))
    func `cancelling the task that iterates ends the loop, and loses nothing`() async throws {
        _ = try await raceCancelling()
    }

    @Test func `of the seeds some have the event first, and some the cancellation`() async throws {
        var taken = 0
        for seed in 0..<60 as Range<UInt64> {
            try await Simulation(seed: seed).run { _ in
                if try await raceCancelling() { taken += 1 }
            }
        }
        #expect(taken > 5 && taken < 55, "\(taken) of 60")
    }

    @Test(.simulated(seeds: 0..<20)) func `an iteration that sleeps is ended by its cancellation`()
        async throws
    {
        try await withProgram { world, aio in
            let consumer = Task(executorPreference: world.taskExecutor) {
                for await _ in aio.events { Issue.record("there is nothing") }
                for await _ in aio.events.batches { Issue.record("there is nothing") }
                return true
            }
            await world.settle()
            consumer.cancel()
            #expect(await consumer.value)
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `a task that is cancelled already gets nothing`() async throws {
        try await withProgram { world, aio in
            try aio.events.post(1)
            let mayBegin = Promise<Void>()
            let consumer = Task(executorPreference: world.taskExecutor) {
                try await mayBegin.value()
                var count = 0
                for await _ in aio.events { count += 1 }
                for await _ in aio.events.batches { count += 1 }
                return count
            }
            consumer.cancel()
            mayBegin.keep()
            #expect(try await consumer.value == 0)
            #expect(aio.events.drain().count == 1)
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `drain takes what is there and does not wait, inside a loop and outside`() async throws {
        try await withProgram { _, aio in
            #expect(aio.events.drain().isEmpty)
            for number in 0..<10 { try aio.events.post(number) }
            #expect(aio.events.drain(atMost: 0).isEmpty)
            #expect(aio.events.drain(atMost: 3).count == 3)
            var rest: [Int] = []
            for await event in aio.events {
                rest += ([event] + aio.events.drain()).compactMap(number)
                break
            }
            #expect(rest == Array(3..<10))
            #expect(aio.events.drain().isEmpty)
        }
    }

    @Test(.simulated(seeds: 0..<10))
    func `batches have at least one event and at most a thousand and twenty-four`() async throws {
        try await withProgram { world, aio in
            for number in 0..<2_500 { try aio.events.post(number) }
            var sizes: [Int] = []
            var numbers: [Int] = []
            for await batch in aio.events.batches {
                sizes.append(batch.count)
                numbers += batch.compactMap(number)
                if numbers.count == 2_500 { break }
            }
            #expect(sizes == [1_024, 1_024, 452])
            #expect(numbers == Array(0..<2_500))
            // Asleep, and woken by the next.
            async let next = aio.events.batches.first { _ in true }
            await world.settle()
            try aio.events.post(1)
            #expect(await next?.count == 1)
        }
    }
}
