// Who writes down what goes over one connection: events come from a relay (RecordingRelay.swift) or from the kernel's
// calls (RecordingKernel.swift), get their times here, and go to memory or to a file.

import AIOBytes
public import AIOKernel
package import AIOWorkers
public import SystemPackage

/// Records one connection, into memory or into a file.
///
/// Recording never slows the connection: nobody waits for the disk. Past a limit (`RecordingLimits`) the recording ends
/// with a line that says so, and the connection goes on; if the file cannot be written, `failure` says why, and the
/// connection goes on as well.
///
/// Times are those of the connection's engine: virtual ones in a simulation.
///
/// Sendable, unchecked: what changes is under `lock`.
public final class ConnectionRecorder: @unchecked Sendable {
    private let path: FilePath?
    private let limits: RecordingLimits

    private let lock = PosixLock()
    // Under `lock`.
    private var phase = Phase.new
    private var kernel: (any Kernel)?
    private var began = MonotonicTime(nanoseconds: 0)
    private var lastMicroseconds: UInt64 = 0
    /// Of the text so far.
    private var byteCount = 0
    private var ended: Set<Recording.Side> = []
    private var hasReset = false
    private var kept: Recording
    private var file: RecordingFile?
    /// The text of an event, before it is known whether there is room for it.
    private var text: [UInt8] = []

    private enum Phase { case new, recording, ended }

    /// Records into memory.
    public init(limits: RecordingLimits = RecordingLimits()) {
        path = nil
        self.limits = limits
        kept = Recording()
    }

    /// Records into a file at `path`, which must not exist and which only this user may read. It is made when the
    /// connection begins, and written at least once a second.
    public init(to path: FilePath, limits: RecordingLimits = RecordingLimits()) {
        self.path = path
        self.limits = limits
        kept = Recording()
    }

    /// What has been recorded so far; nil if it goes to a file.
    public var recording: Recording? { path == nil ? lock.withLock { kept } : nil }

    /// How the recording ended; nil while it goes on.
    public var ending: Recording.Ending? { lock.withLock { kept.ending } }

    /// Why the file could not be written, or not to its end.
    public var failure: AIOError? { lock.withLock { file }?.failure }

    // MARK: From who sees the connection

    /// The connection begins now.
    /// - Throws: `.misuse` if the recorder has been used before; `.invalidArgument` for limits that make no sense.
    package func begin(
        client: Endpoint?, server: Endpoint?, engine: Engine, worker: Worker
    ) throws(AIOError) {
        try limits.validate()
        lock.lock()
        defer { lock.unlock() }
        guard phase == .new else {
            throw AIOError(.misuse, call: "record", detail: "a recorder records one connection")
        }
        phase = .recording
        kernel = engine.kernel
        began = engine.kernel.now
        kept.client = client
        kept.server = server
        RecordingText.appendHeader(client: client, server: server, to: &text)
        byteCount = text.count
        guard let path else { return }
        let file = RecordingFile(
            path, unwrittenByteCountMax: limits.unwrittenByteCountMax, engine: engine, worker: worker)
        self.file = file
        _ = file.append(text)
        file.begin()
    }

    /// One side did something now. What cannot be any more, after an end or a reset, is left out.
    package func note(_ side: Recording.Side, _ action: Recording.Action) {
        lock.withLock { add(side, action) }
    }

    /// The same for bytes that `send` may refuse. Nothing else is noted meanwhile: an answer to them comes after them.
    func note(
        _ side: Recording.Side, unlessRefused parts: [Bytes], _ send: () -> SendOutcome
    ) -> SendOutcome {
        lock.withLock {
            let outcome = send()
            if case .refused = outcome { return outcome }
            add(side, .bytes(Bytes(joining: parts)))
            return outcome
        }
    }

    /// With the lock held.
    private func add(_ side: Recording.Side, _ action: Recording.Action) {
        guard phase == .recording, !hasReset, action == .reset || !ended.contains(side) else { return }
        let event = Recording.Event(microseconds: tick(), side, action)
        text.removeAll(keepingCapacity: true)
        RecordingText.append(event, to: &text)
        guard byteCount + text.count + RecordingText.endingByteCountMax <= limits.byteCountMax else {
            return conclude(.cut("the limit of \(limits.byteCountMax) bytes is reached"))
        }
        switch file?.append(text) {
        case .taken: break
        case .full: return conclude(.cut("the disk is slower than the connection"))
        case .failed: return conclude(.cut("the file could not be written"))
        case nil: keep(event)
        }
        byteCount += text.count
        switch action {
        case .bytes: break
        case .end: ended.insert(side)
        case .reset: hasReset = true
        }
    }

    /// The recording ends now, if it has not before.
    package func end(_ kind: Recording.Ending.Kind) {
        lock.lock()
        defer { lock.unlock() }
        if phase == .recording { conclude(kind) }
    }

    /// Calls `body` once all is written, or cannot be.
    package func finish(_ body: @escaping @Sendable () -> Void) {
        guard let file = lock.withLock({ file }) else { return body() }
        file.finish(body)
    }

    // MARK: Parts; with the lock held

    private func conclude(_ kind: Recording.Ending.Kind) {
        phase = .ended
        let ending = Recording.Ending(microseconds: tick(), kind.shortened)
        kept.ending = ending
        kernel = nil
        text = []
        guard let file else { return }
        RecordingText.append(ending, to: &text)
        file.appendLast(text)
        text = []
    }

    private func keep(_ event: Recording.Event) {
        var event = event
        // Not the slab that they share with what others received.
        if case .bytes(let bytes) = event.action { event.action = .bytes(bytes.compacted()) }
        kept.events.append(event)
    }

    private func tick() -> UInt64 {
        guard let kernel else { return lastMicroseconds }
        lastMicroseconds = max(lastMicroseconds, kernel.now.nanoseconds(since: began) / 1_000)
        return lastMicroseconds
    }
}

extension Recording.Ending.Kind {
    /// A reason of so many bytes that there is room for it.
    fileprivate var shortened: Self {
        switch self {
        case .closed: .closed
        case .failed(let reason): .failed(shorten(reason))
        case .cut(let reason): .cut(shorten(reason))
        }
    }

    private func shorten(_ reason: String) -> String {
        var kept = reason.prefix(RecordingText.reasonByteCountMax)
        while kept.utf8.count > RecordingText.reasonByteCountMax { kept.removeLast() }
        return String(kept)
    }
}
