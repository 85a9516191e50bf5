// One check of a transport: a pair of connected ends, and what all checks are written with. The checks
// themselves are in Checks/, by what they are about.

import AIO
import AIOKernel

/// What a check has in its hands. It looks at `near`; `far` is there to be its peer.
struct TransportCheck<Transport: StreamTransport>: Sendable {
    typealias Body = @Sendable (TransportCheck) async throws -> Void

    let near: Transport
    let far: Transport
    /// From `near` to `far`, and back.
    let out: Flow<Transport>
    let back: Flow<Transport>
    let options: TransportCheckOptions
    let record: CheckRecord
    let random: SeededRandom

    init(
        _ near: Transport, _ far: Transport, options: TransportCheckOptions, record: CheckRecord,
        random: SeededRandom
    ) {
        self.near = near
        self.far = far
        self.options = options
        self.record = record
        self.random = random
        let names = ("this end", "its peer")
        out = Flow(from: near, names.0, to: far, names.1, number: 1, record: record, options: options)
        back = Flow(from: far, names.1, to: near, names.0, number: 2, record: record, options: options)
    }

    /// Bytes that are sent where it is not about many.
    var fewBytes: Int { min(options.byteCount, 20_000) }

    /// The checks of one promise, each for a pair of its own.
    static func checks(of promise: TransportPromise, _ options: TransportCheckOptions) -> [Body] {
        switch promise {
        case .everyByteInOrder: [{ try await $0.everyByteInOrder() }]
        case .emptyWritesDoNothing: [{ try await $0.emptyWritesDoNothing() }]
        case .piecesStayWhole: [{ try await $0.piecesStayWhole() }]
        case .oneReaderAtATime: [{ try await $0.oneReaderAtATime() }]
        case .endComesLast: [{ try await $0.endComesLast() }]
        case .halvesEndSeparately:
            [{ try await $0.answerAfterTheEnd() }, { try await $0.bothEndAtTheSameTime() }]
        case .finishedTakesNoWrites:
            [{ try await $0.writeAfterFinish() }]
                + ifBounded(options, { try await $0.finishWhileAWriteWaits() })
        case .closeSendsWhatWasWritten:
            [{ try await $0.closeBehindMuch() }, { try await $0.closeBehindLittle() }]
        case .closeWakesOperations:
            [{ try await $0.closeWhileReadsWait() }]
                + ifBounded(options, { try await $0.closeWhileAWriteWaits() })
        case .closedDeliversNothing:
            [{ try await $0.closeWithBytesUnread() }, { try await $0.closeWhileBytesCome() }]
        case .abortWakesOperations:
            [{ try await $0.abortWhileReadsWait() }]
                + ifBounded(options, { try await $0.abortWhileWritesWait() })
        case .cancelledReadTakesNothing:
            [{ try await $0.cancelledReadOfNothing() }, { try await $0.cancelledReadsAmongBytes() }]
        case .timedReadTakesNothing: [{ try await $0.timedReadsAmongBytes() }]
        case .cancelledWriteSendsNothing:
            [
                { try await $0.cancelledWriteThatWaits() }, { try await $0.cancelledWritesAmongReads() },
            ] + (options.hasConcurrentWrites ? [{ try await $0.cancelledWriteInLine() }] : [])
        case .cancelledFlushLosesNothing: [{ try await $0.cancelledFlush() }]
        case .writesAreHeldBack: [{ try await $0.writesAreHeldBack() }, { try await $0.slowReader() }]
        case .directionsAreIndependent:
            [{ try await $0.oneDirectionGoesOn() }, { try await $0.bothDirectionsGoOn() }]
        }
    }

    /// What needs a write that waits.
    private static func ifBounded(_ options: TransportCheckOptions, _ body: @escaping Body) -> [Body] {
        options.bufferedByteCountMax == nil ? [] : [body]
    }

    // MARK: What checks are written with

    /// Runs all of them at the same time. If one throws, the others are cancelled.
    func together(_ bodies: (@Sendable () async throws -> Void)...) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for body in bodies { group.addTask { try await body() } }
            for try await _ in group {}
        }
    }

    /// Runs `body` in a task that can be cancelled by itself, and stays in the simulation.
    func begin<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) -> Task<Value, any Error> {
        Task(executorPreference: CheckTime.executor) { try await body() }
    }

    /// Until what has been begun has got as far as it can.
    func pause() async throws { try await CheckTime.pause(options) }

    /// How a task of `begin` has ended, which it must.
    func result<Value>(_ what: String, of task: Task<Value, any Error>) async throws -> Value {
        try await record.step(what) { try await task.value }
    }

    func close(_ end: Transport) async throws {
        try await record.step("a close") { await end.close() }
    }
}
