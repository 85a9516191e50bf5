// Offloaded work: bounded, cancellable while it waits, waited for while it runs, and in nobody's way.

import AIO
import AIOKernel
import Synchronization
import Testing

extension Loopback {
    @Suite struct OffloadTests {
        /// Holds up threads until it is opened. Sendable, unchecked: `isOpen` is guarded by `lock`.
        private final class Gate: @unchecked Sendable {
            private let lock = PosixLock()
            private let changed = PosixCondition()
            private var isOpen = false
            /// Work that has come to the gate.
            private let arrivals = Atomic<Int>(0)

            var arrived: Int { arrivals.load(ordering: .acquiring) }

            func pass() {
                arrivals.add(1, ordering: .acquiringAndReleasing)
                lock.withLock { while !isOpen { changed.wait(lock) } }
            }

            func open() {
                lock.withLock { isOpen = true }
                changed.broadcast()
            }
        }

        private final class Count: Sendable {
            private let number = Atomic<Int>(0)
            func increment() { number.add(1, ordering: .acquiringAndReleasing) }
            func raise(to value: Int) { number.max(value, ordering: .acquiringAndReleasing) }
            func decrement() { number.subtract(1, ordering: .acquiringAndReleasing) }
            var value: Int { number.load(ordering: .acquiring) }
        }

        private struct Complaint: Error, Equatable { let text: String }

        /// A task whose work holds a thread until `gate` opens; returns once it does.
        private func occupy(_ aio: Proactor, _ gate: Gate, threads: Int = 1) async throws -> [Task<
            Void, any Error
        >] {
            let tasks = (0..<threads).map { _ in Task { try await aio.offload { gate.pass() } } }
            try #require(await eventually { gate.arrived == threads })
            return tasks
        }

        private func waitUntilQueued(_ count: Int, _ aio: Proactor) async throws {
            try #require(await eventually { aio.statistics.offload.queued == count })
        }

        // MARK: Results

        @Test func `results and errors are handed over unchanged`() async throws {
            try await withProactor(.testing()) { aio in
                let answer = try await aio.offload { 6 * 7 }
                #expect(answer == 42)
                let complaint = await #expect(throws: Complaint.self) {
                    try await aio.offload { throw Complaint(text: "no") }
                }
                #expect(complaint == Complaint(text: "no"))
                let error = await #expect(throws: AIOError.self) {
                    try await aio.offload { throw AIOError(.notFound, detail: "a file") }
                }
                #expect(error == AIOError(.notFound, detail: "a file"))
                #expect(await eventually { aio.statistics.offload.completed == 3 })
            }
        }

        @Test func `work runs on a thread of its own kind`() async throws {
            try await withProactor(.testing()) { aio in
                let isInTask = try await aio.offload { unsafe withUnsafeCurrentTask { unsafe $0 != nil } }
                #expect(!isInTask)
            }
        }

        // MARK: Bounds

        @Test func `no more work runs at once than there may be threads`() async throws {
            try await withProactor(.testing { $0.offloadThreadsMax = 2 }) { aio in
                let gate = Gate()
                let (running, peak) = (Count(), Count())
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<6 {
                        group.addTask {
                            try await aio.offload {
                                running.increment()
                                peak.raise(to: running.value)
                                gate.pass()
                                running.decrement()
                                return number
                            }
                        }
                    }
                    try await waitUntilQueued(4, aio)
                    #expect(await eventually { gate.arrived == 2 })
                    #expect(aio.statistics.offload.running == 2)
                    #expect(aio.statistics.offload.threads == 2)
                    gate.open()
                    #expect(try await group.reduce(0, +) == 15)
                }
                #expect(peak.value == 2)
            }
        }

        @Test func `a full queue refuses and names the limit`() async throws {
            let limited = Proactor.Configuration.testing {
                $0.offloadThreadsMax = 1
                $0.offloadQueuedMax = 2
            }
            try await withProactor(limited) { aio in
                let gate = Gate()
                let occupier = try await occupy(aio, gate)
                let queued = (0..<2).map { number in Task { try await aio.offload { number } } }
                try await waitUntilQueued(2, aio)
                let error = await #expect(throws: AIOError.self) { try await aio.offload {} }
                #expect(error?.code == .limitReached)
                #expect(error?.detail?.contains("offloadQueuedMax: 2") == true)
                #expect(aio.statistics.offload.refused == 1)
                gate.open()
                for task in occupier { try await task.value }
                for (number, task) in queued.enumerated() { #expect(try await task.value == number) }
            }
        }

        @Test func `numbers that make no sense start no proactor`() throws {
            for change in [
                { $0.offloadThreadsMax = 0 }, { $0.offloadThreadsMax = 1_025 }, { $0.offloadQueuedMax = -1 },
            ] as [(inout Proactor.Configuration) -> Void] {
                let error = try #require(throws: AIOError.self) { try Proactor(.testing(change)) }
                #expect(error.code == .invalidArgument)
                #expect(error.detail?.hasPrefix("offload") == true)
            }
        }

        // MARK: Cancelling

        @Test func `work cancelled in the queue never runs and gives its place back at once`() async throws {
            let limited = Proactor.Configuration.testing {
                $0.offloadThreadsMax = 1
                $0.offloadQueuedMax = 1
            }
            try await withProactor(limited) { aio in
                let gate = Gate()
                let ran = Count()
                let occupier = try await occupy(aio, gate)
                let task = Task { try await aio.offload { ran.increment() } }
                try await waitUntilQueued(1, aio)
                task.cancel()
                // The thread is still occupied: nobody but the cancellation can have ended this.
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(aio.statistics.offload.queued == 0 && aio.statistics.offload.cancelled == 1)
                let next = Task { try await aio.offload { "next" } }
                try await waitUntilQueued(1, aio)
                gate.open()
                for task in occupier { try await task.value }
                #expect(try await next.value == "next")
                #expect(ran.value == 0)
            }
        }

        @Test func `a task that is cancelled already queues nothing`() async throws {
            try await withProactor(.testing()) { aio in
                let task = Task {
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    try await aio.offload { _ = Issue.record("ran") }
                }
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(aio.statistics.offload == OffloadStatistics())
            }
        }

        @Test func `work that runs sees the cancellation, and what it returns is handed over`() async throws {
            try await withProactor(.testing()) { aio in
                let gate = Gate()
                let task = Task {
                    try await aio.offload { token in
                        #expect(!token.isCancelled)
                        gate.pass()
                        while !token.isCancelled {}
                        return "cut short"
                    }
                }
                #expect(await eventually { gate.arrived == 1 })
                gate.open()
                task.cancel()
                let result = try await task.value
                #expect(result == "cut short")
                #expect(aio.statistics.offload.cancelled == 0)
            }
        }

        @Test func `work may answer a cancellation with an error`() async throws {
            try await withProactor(.testing()) { aio in
                let gate = Gate()
                let task = Task {
                    try await aio.offload { token in
                        gate.pass()
                        while true { try token.checkCancellation() }
                    }
                }
                #expect(await eventually { gate.arrived == 1 })
                gate.open()
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
            }
        }

        @Test func `a cancelled task waits for work that runs`() async throws {
            try await withProactor(.testing()) { aio in
                let gate = Gate()
                let returns = Count()
                let task = Task {
                    defer { returns.increment() }
                    return try await aio.offload {
                        gate.pass()
                        return returns.value
                    }
                }
                #expect(await eventually { gate.arrived == 1 })
                task.cancel()
                // Other work goes round meanwhile: a wrong answer would have had its time.
                for _ in 0..<10 { try await aio.offload {} }
                gate.open()
                #expect(try await task.value == 0)
            }
        }

        @Test func `of work that is cancelled at any moment each piece runs or is cancelled`() async throws {
            let count = isSanitized ? 500 : 5_000
            let configuration = Proactor.Configuration.testing {
                $0.offloadThreadsMax = 2
                $0.offloadQueuedMax = count
            }
            try await withProactor(configuration) { aio in
                let ran = Count()
                let returned = await withTaskGroup(of: Bool.self) { group in
                    for number in 0..<count {
                        let task = Task { try await aio.offload { ran.increment() } }
                        group.addTask {
                            if number % 3 == 0 { await Task.yield() }
                            if number % 2 == 0 { task.cancel() }
                            do {
                                try await task.value
                                return true
                            } catch {
                                #expect(error is CancellationError)
                                return false
                            }
                        }
                    }
                    return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(returned == ran.value && returned >= count / 2)
                #expect(await eventually { aio.statistics.offload.completed == UInt64(returned) })
                #expect(aio.statistics.offload.queued == 0)
                #expect(aio.statistics.offload.refused == 0)
            }
        }

        // MARK: Being in nobody's way

        @Test func `blocked work does not hold up connections or the looking up of names`() async throws {
            let limited = Proactor.Configuration.testing {
                $0.offloadThreadsMax = 2
                $0.offloadQueuedMax = 0
            }
            try await withProactor(limited) { aio in
                let gate = Gate()
                let occupiers = try await occupy(aio, gate, threads: 2)
                let error = await #expect(throws: AIOError.self) { try await aio.offload {} }
                #expect(error?.code == .limitReached)

                let pair = try await aio.pair()
                pair.client.send("ping")
                try await aio.run { event in
                    if case .received(let bytes, pair.server) = event { pair.server.send("re: \(bytes)") }
                    if case .received("re: ping", pair.client) = event { return true }
                    return false
                }
                let port = try #require(pair.listener.endpoint.port)
                let named = try aio.events.connect(to: "localhost:\(port)")
                try await aio.run { if case .connected(named) = $0 { true } else { false } }

                gate.open()
                for task in occupiers { try await task.value }
            }
        }

        // MARK: Shutting down

        @Test func `work that is queued when the proactor is shut down still runs, and new work is refused`()
            async throws
        {
            let aio = try Proactor(.testing { $0.offloadThreadsMax = 1 })
            let gate = Gate()
            let occupier = try await occupy(aio, gate)
            let queued = (0..<3).map { number in Task { try await aio.offload { number } } }
            try await waitUntilQueued(3, aio)
            let cancelled = Task { try await aio.offload { _ = Issue.record("ran") } }
            try await waitUntilQueued(4, aio)

            try await aio.shutdown()
            let error = await #expect(throws: AIOError.self) { try await aio.offload {} }
            #expect(error?.code == .shutDown)
            // Cancelling works as before.
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }

            gate.open()
            for task in occupier { try await task.value }
            for (number, task) in queued.enumerated() { #expect(try await task.value == number) }
        }

        @Test func `a result keeps nothing of its call alive`() async throws {
            final class Witness: Sendable {}
            weak var lastSeen: Witness?
            try await withProactor(.testing { $0.offloadThreadsMax = 1 }) { aio in
                let gate = Gate()
                let occupier = try await occupy(aio, gate)
                do {
                    let witness = Witness()
                    lastSeen = witness
                    let task = Task { [witness] in try await aio.offload { _ = witness } }
                    try await waitUntilQueued(1, aio)
                    task.cancel()
                    await #expect(throws: CancellationError.self) { try await task.value }
                }
                // The task lets go a moment after its value is there; if it did not, the time limit would tell.
                while lastSeen != nil { await Task.yield() }
                gate.open()
                for task in occupier { try await task.value }
            }
        }
    }
}
