// Transports that are wrong, each in one way: connections with something in front of them that breaks a
// promise.

import AIO
import AIOKernel
import AIOTesting

/// What is wrong with a transport.
enum PlantedFault: String, CaseIterable, Sendable {
    case smallWritesAreOvertaken, readsTooMuch, emptyWriteEndsTheStream, splitsWrites, lineOfReaders
    case finishIsForgotten, endIsToldOnce, finishEndsBothWays, writesAfterFinishAreSwallowed
    case closeAborts, closeResetsOverUnreadBytes, closeIsForgotten, closeNeverReturns
    case readsOnAfterClose, closeDoesNotWakeReads
    case abortIsAnEnd, abortWakesNobody
    case cancelledReadGoesOn, timedReadGoesOn, cancelledWriteIsHalfSent, cancelledWriteWaitsOn,
        cancelledFlushAborts
    case queueHasNoBound, readsWaitForWrites, throwsSomethingElse

    case secondReadCuts, oneWriterAtATime, finishForgetsWhoWaits, closeForgetsWhoWaits

    /// What it breaks.
    var promise: TransportPromise {
        switch self {
        case .smallWritesAreOvertaken, .readsTooMuch, .throwsSomethingElse: .everyByteInOrder
        case .emptyWriteEndsTheStream: .emptyWritesDoNothing
        case .splitsWrites, .oneWriterAtATime: .piecesStayWhole
        case .lineOfReaders, .secondReadCuts: .oneReaderAtATime
        case .finishIsForgotten, .endIsToldOnce: .endComesLast
        case .finishEndsBothWays: .halvesEndSeparately
        case .writesAfterFinishAreSwallowed, .finishForgetsWhoWaits: .finishedTakesNoWrites
        case .closeAborts, .closeResetsOverUnreadBytes, .closeIsForgotten, .closeNeverReturns:
            .closeSendsWhatWasWritten
        case .readsOnAfterClose: .closedDeliversNothing
        case .closeDoesNotWakeReads, .closeForgetsWhoWaits: .closeWakesOperations
        case .abortIsAnEnd, .abortWakesNobody: .abortWakesOperations
        case .cancelledReadGoesOn: .cancelledReadTakesNothing
        case .timedReadGoesOn: .timedReadTakesNothing
        case .cancelledWriteIsHalfSent, .cancelledWriteWaitsOn: .cancelledWriteSendsNothing
        case .cancelledFlushAborts: .cancelledFlushLosesNothing
        case .queueHasNoBound: .writesAreHeldBack
        case .readsWaitForWrites: .directionsAreIndependent
        }
    }
}

struct SomethingElse: Error {}

/// A connection behind something that is wrong.
struct WrongTransport: StreamTransport {
    private let connection: Connection
    private let fault: PlantedFault?
    private let state = State()

    /// What it remembers. Sendable, unchecked: of one simulation's thread.
    private final class State: @unchecked Sendable {
        /// Left behind, and not ended yet.
        var leftRead: Task<Void, Never>?
        let readers = Turns()
        let writers = Turns()
        let operations = Turns()
        var isFinished = false
        var hasEnded = false
        var isClosed = false
        var readCount = 0
    }

    init(_ connection: Connection, _ fault: PlantedFault?) {
        self.connection = connection
        self.fault = fault
    }

    // MARK: Reading

    func read(atMost byteCountMax: Int) async throws -> Bytes? {
        state.readCount += 1
        switch fault {
        case .readsTooMuch: return try await connection.read()
        case .lineOfReaders:
            return try await state.readers.inTurn { try await connection.read(atMost: byteCountMax) }
        case .readsWaitForWrites:
            return try await state.operations.inTurn { try await connection.read(atMost: byteCountMax) }
        case .cancelledReadGoesOn, .timedReadGoesOn: return try await readOn(atMost: byteCountMax)
        case .closeDoesNotWakeReads where state.isClosed: throw AIOError(.closed)
        case .secondReadCuts:
            return try await state.readers.orElse({ connection.abort() }) {
                try await connection.read(atMost: byteCountMax)
            }
        case .throwsSomethingElse where state.readCount == 20: throw SomethingElse()
        case .endIsToldOnce where state.hasEnded: throw AIOError(.closed)
        default: break
        }
        let bytes = try await connection.read(atMost: byteCountMax)
        if bytes == nil { state.hasEnded = true }
        return bytes
    }

    // MARK: Writing

    func write(_ bytes: Bytes) async throws {
        switch fault {
        case .smallWritesAreOvertaken where bytes.count < 100:
            begin {
                await Task.yield()
                try? await connection.write(bytes)
            }
        case .emptyWriteEndsTheStream where bytes.isEmpty: connection.finish()
        case .splitsWrites, .cancelledWriteIsHalfSent:
            let half = bytes.count / 2
            try await connection.write(bytes.prefix(half))
            try await connection.write(bytes.dropFirst(half))
        case .writesAfterFinishAreSwallowed where state.isFinished: return
        case .oneWriterAtATime: try await state.writers.orElse({}) { try await connection.write(bytes) }
        case .cancelledWriteWaitsOn: try await begin { try await connection.write(bytes) }.value
        case .finishForgetsWhoWaits, .closeForgetsWhoWaits: try await writeForGood(bytes)
        case .queueHasNoBound:
            if case .refused = connection.send(bytes) { throw AIOError(.closed) }
        case .readsWaitForWrites: try await state.operations.inTurn { try await connection.write(bytes) }
        default: try await connection.write(bytes)
        }
    }

    /// Waits on, if it waits when the writing is ended.
    private func writeForGood(_ bytes: Bytes) async throws {
        let waits = !state.isFinished && !state.isClosed
        do {
            try await connection.write(bytes)
        } catch let error as AIOError {
            if waits, fault == .finishForgetsWhoWaits ? state.isFinished : state.isClosed {
                await Never.value
            }
            throw error
        }
    }

    func flush() async throws {
        guard fault == .cancelledFlushAborts else { return try await connection.flush() }
        do {
            try await connection.flush()
        } catch let error as CancellationError {
            connection.abort()
            throw error
        }
    }

    // MARK: Ending

    func finish() async {
        state.isFinished = true
        switch fault {
        case .finishIsForgotten: return
        case .finishEndsBothWays: connection.close()
        default: connection.finish()
        }
    }

    func close() async {
        state.isClosed = true
        switch fault {
        case .closeAborts: connection.abort()
        case .closeResetsOverUnreadBytes where connection.statistics.unreadByteCount > 0: connection.abort()
        case .closeIsForgotten: return
        case .closeNeverReturns: await Never.value
        case .readsOnAfterClose, .closeDoesNotWakeReads: connection.finish()
        default: connection.close()
        }
    }

    func abort() async {
        switch fault {
        case .abortIsAnEnd: connection.close()
        case .abortWakesNobody where !state.isClosed: connection.finish()
        default: connection.abort()
        }
        // So that a second abort, which clears away, does what it should.
        state.isClosed = true
    }

    // MARK: How to be wrong

    /// In a task that nobody cancels.
    @discardableResult
    private func begin<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) -> Task<Value, any Error> {
        Task(executorPreference: Simulation.current?.taskExecutor) { try await body() }
    }

    /// Reads on when it is cancelled, and what is found then is lost.
    private func readOn(atMost byteCountMax: Int) async throws -> Bytes? {
        await state.leftRead?.value
        let task = begin { try await connection.read(atMost: byteCountMax) }
        let answer = Answer<Bytes?>()
        state.leftRead = Task(executorPreference: Simulation.current?.taskExecutor) {
            answer.give(await task.result)
        }
        return try await withTaskCancellationHandler {
            try await answer.value()
        } onCancel: {
            answer.give(.failure(CancellationError()))
        }
    }
}

extension Never {
    /// Does not come.
    static var value: Never {
        get async {
            while true { try? await Answer<Void>().value() }
        }
    }
}

/// The first answer that is given. Sendable, unchecked: of one simulation's thread.
private final class Answer<Value: Sendable>: @unchecked Sendable {
    private var given: Result<Value, any Error>?
    private var waiting: CheckedContinuation<Void, Never>?

    func give(_ result: Result<Value, any Error>) {
        guard given == nil else { return }
        given = result
        waiting.take()?.resume()
    }

    func value() async throws -> Value {
        if given == nil { await withCheckedContinuation { waiting = $0 } }
        return try given!.get()
    }
}

/// One at a time, in the order of coming. Sendable, unchecked: of one simulation's thread.
private final class Turns: @unchecked Sendable {
    private var isTaken = false
    private var line: [CheckedContinuation<Void, Never>] = []

    /// The second of two at the same time is refused, and `cut` called.
    func orElse<Value>(_ cut: () -> Void, _ body: () async throws -> Value) async throws -> Value {
        if isTaken {
            cut()
            throw AIOError(.misuse)
        }
        return try await inTurn(body)
    }

    func inTurn<Value>(_ body: () async throws -> Value) async throws -> Value {
        if isTaken { await withCheckedContinuation { line.append($0) } }
        isTaken = true
        // Whoever is next has its turn already.
        defer { if line.isEmpty { isTaken = false } else { line.removeFirst().resume() } }
        return try await body()
    }
}
