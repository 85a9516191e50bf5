// The way of a recording's text to the disk: lines are left here by whoever records, and written by offload threads, a
// piece at a time. Nobody waits for the disk but `finish`.

import AIOKernel
import AIOWorkers
import SystemPackage

/// A file that is written as a connection goes on.
///
/// Lines gather in `unwritten`. A piece is written when there are `pieceByteCount` bytes, or a second after the first of
/// them came, or at the end. One piece is under way at a time, so pieces stay in order, and what they need (the open
/// file) is passed on from one to the next. If the disk is slower than what comes, `unwritten` grows up to its limit;
/// what comes then is not taken.
///
/// Sendable, unchecked: what changes is under `lock`; `file` belongs to the piece that is under way.
final class RecordingFile: @unchecked Sendable {
    private let path: FilePath
    private let unwrittenByteCountMax: Int
    private let engine: Engine
    private let worker: Worker

    private let lock = PosixLock()
    // Under `lock`.
    private var unwritten: [UInt8] = []
    /// Of the piece that is under way.
    private var pieceCount = 0
    private var isWriting = false
    private var isTimerSet = false
    private var isEnding = false
    private var hasEnded = false
    private var onEnd: [@Sendable () -> Void] = []
    private var firstFailure: AIOError?

    /// Opened by the first piece, closed by the last.
    private var file: OpenFile?

    private let pieceByteCount: Int
    private static let delay: Duration = .seconds(1)

    /// `worker` is the one that looks at the time.
    init(_ path: FilePath, unwrittenByteCountMax: Int, engine: Engine, worker: Worker) {
        self.path = path
        self.unwrittenByteCountMax = unwrittenByteCountMax
        pieceByteCount = min(64 << 10, unwrittenByteCountMax / 2)
        self.engine = engine
        self.worker = worker
    }

    /// Why it could not be written.
    var failure: AIOError? { lock.withLock { firstFailure } }

    // MARK: From whoever records

    enum Acceptance { case taken, full, failed }

    /// Takes `text`, unless so much waits already that it must not, or the file could not be written.
    func append(_ text: [UInt8]) -> Acceptance {
        let acceptance: Acceptance = lock.withLock {
            if hasEnded { return .failed }
            guard unwritten.count + pieceCount + text.count <= unwrittenByteCountMax else { return .full }
            unwritten += text
            return .taken
        }
        write(isDue: false)
        return acceptance
    }

    /// Takes it all the same: a line that says that this is the last.
    func appendLast(_ text: [UInt8]) { lock.withLock { if !hasEnded { unwritten += text } } }

    /// Begins to write what there is: for the first lines, so that what is wrong with the path is known early.
    func begin() { write(isDue: true) }

    /// Calls `body` once everything is written and the file is closed, or has failed.
    func finish(_ body: @escaping @Sendable () -> Void) {
        let isOver = lock.withLock {
            isEnding = true
            if !hasEnded { onEnd.append(body) }
            return hasEnded
        }
        if isOver { body() } else { write(isDue: true) }
    }

    // MARK: Pieces

    /// Begins a piece, if it is time and none is under way; if it is not time yet, sees to it that it will be.
    private func write(isDue: Bool) {
        lock.lock()
        if isWriting || hasEnded { return lock.unlock() }
        guard isDue || isEnding || unwritten.count >= pieceByteCount else { return setTimerAndUnlock() }
        isWriting = true
        let piece = unwritten
        unwritten = []
        pieceCount = piece.count
        let isLast = isEnding
        lock.unlock()
        do throws(AIOError) {
            try engine.host.offload(.work) { [self] in
                let failure = put(piece, isLast: isLast)
                wrote(failure, isLast: isLast)
            }
        } catch {
            refused(piece, error)
        }
    }

    /// The caller holds the lock.
    private func setTimerAndUnlock() {
        let needsTimer = !isTimerSet && !unwritten.isEmpty
        if needsTimer { isTimerSet = true }
        lock.unlock()
        guard needsTimer else { return }
        _ = worker.call(after: Self.delay) { [weak self] in
            self?.lock.withLock { self?.isTimerSet = false }
            self?.write(isDue: true)
        }
    }

    /// On an offload thread.
    private func put(_ piece: [UInt8], isLast: Bool) -> AIOError? {
        do throws(AIOError) {
            let file = if let file { file } else { try OpenFile(path, for: .writing) }
            try file.append(piece)
            self.file = isLast ? nil : file
            return nil
        } catch {
            file = nil
            return error
        }
    }

    private func wrote(_ failure: AIOError?, isLast: Bool) {
        if isLast || failure != nil { return end(failure) }
        lock.lock()
        isWriting = false
        pieceCount = 0
        lock.unlock()
        write(isDue: false)
    }

    /// The offload threads take no more: perhaps later, but not after the engine's end.
    private func refused(_ piece: [UInt8], _ error: AIOError) {
        guard error.code == .limitReached else { return end(error) }
        lock.lock()
        isWriting = false
        pieceCount = 0
        unwritten = piece + unwritten
        setTimerAndUnlock()
    }

    private func end(_ failure: AIOError?) {
        let bodies = lock.withLock {
            firstFailure = failure
            unwritten = []
            pieceCount = 0
            hasEnded = true
            defer { onEnd = [] }
            return onEnd
        }
        for body in bodies { body() }
    }
}
