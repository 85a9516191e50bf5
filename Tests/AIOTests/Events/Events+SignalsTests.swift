// Signals of the process as events. They are the process's, so these tests use one that nothing else does.

import AIO
import Glibc
import Testing

extension Loopback {
    @Suite struct SignalsTests {
        /// The address of the handler of SIGUSR1; zero is the default.
        private func handler() -> UInt {
            var action = sigaction()
            unsafe sigaction(SIGUSR1, nil, &action)
            return unsafe unsafeBitCast(action.__sigaction_handler, to: UInt.self)
        }

        @Test func `a watched signal is an event, and afterwards what it was before`() async throws {
            let before = handler()
            try await withProactor(.testing()) { aio in
                try aio.events.watch(signals: [.user1])
                #expect(handler() != before)
                for _ in 0..<10 {
                    kill(getpid(), SIGUSR1)
                    let signal: ProcessSignal = try await aio.first {
                        if case .signal(let signal) = $0 { signal } else { nil }
                    }
                    #expect(signal == .user1)
                }
            }
            #expect(handler() == before)
        }

        @Test func `signals are watched once in a process, and can be again after the end`() async throws {
            let before = handler()
            try await withProactor(.testing()) { aio in
                try aio.events.watch(signals: [.user1])
                let again = try #require(throws: AIOError.self) { try aio.events.watch(signals: [.user2]) }
                #expect(again.code == .limitReached)
                try await withProactor(.testing()) { other in
                    let error = try #require(throws: AIOError.self) {
                        try other.events.watch(signals: [.user1])
                    }
                    #expect(error.code == .limitReached)
                }
                // The failures have not ended the first watch.
                kill(getpid(), SIGUSR1)
                try await aio.run { if case .signal(.user1) = $0 { true } else { false } }
            }
            try await withProactor(.testing()) { aio in
                try aio.events.watch(signals: [.user1])
                kill(getpid(), SIGUSR1)
                try await aio.run { if case .signal(.user1) = $0 { true } else { false } }
            }
            #expect(handler() == before)
        }

        @Test func `a signal that cannot be watched is an error, and none of the others is`() async throws {
            let before = handler()
            try await withProactor(.testing()) { aio in
                let kill = ProcessSignal(rawValue: SIGKILL)
                #expect(throws: AIOError.self) { try aio.events.watch(signals: [.user1, kill]) }
                #expect(handler() == before)
                try aio.events.watch(signals: [.user1])
            }
        }

        @Test func `a proactor that is dropped puts dispositions back`() async throws {
            let before = handler()
            do {
                let aio = try Proactor(.testing())
                try aio.events.watch(signals: [.user1])
            }
            #expect(await eventually { handler() == before })
        }
    }
}
