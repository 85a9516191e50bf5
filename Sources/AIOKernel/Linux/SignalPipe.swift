// Signals on their way into the program: the handler (CAIOLinux/caio_signals.c) writes numbers to a pipe, a
// small thread here reads them and calls back. signalfd(2) would not do: the runtime parks the main thread
// with an empty signal mask, so a signal blocked everywhere else is delivered there all the same.

internal import CAIOLinux
internal import SystemPackage

/// Watches signals of the process until `end`, and then puts back what was there before. One at a time in a
/// process, because dispositions are the process's.
final class SignalPipe: SignalWatch, @unchecked Sendable {
    private let signals: [ProcessSignal]
    private let reader: PthreadThread
    /// Guards `writeEnd`.
    private let lock = PosixLock()
    /// nil once ended.
    private var writeEnd: Int32?

    init(_ signals: [ProcessSignal], _ handler: @escaping @Sendable (ProcessSignal) -> Void) throws(AIOError)
    {
        var ends: [Int32] = [-1, -1]
        // SAFETY: room for the two descriptors that pipe2(2) stores.
        let made = unsafe CallResult(rawValue: Int(caio_signal_pipe(&ends)))
        if let errno = made.errno { throw AIOError(errno: errno, call: "pipe2") }
        let readEnd = ends[0]
        let writeEnd = ends[1]
        do {
            reader = try Self.read(from: readEnd, handler)
        } catch {
            Self.close(readEnd)
            Self.close(writeEnd)
            throw error
        }
        do {
            try Self.install(signals, writingTo: writeEnd)
        } catch {
            // The reader sees the end and closes its own.
            Self.close(writeEnd)
            reader.join()
            throw error
        }
        self.signals = signals
        self.writeEnd = writeEnd
    }

    deinit { end() }

    func end() {
        lock.lock()
        defer { lock.unlock() }
        guard let writeEnd else { return }
        self.writeEnd = nil
        for signal in signals { caio_signal_unwatch(signal.rawValue) }
        caio_signals_end()
        Self.close(writeEnd)
        reader.join()
    }

    private static func install(_ signals: [ProcessSignal], writingTo pipe: Int32) throws(AIOError) {
        guard caio_signals_begin(pipe) == 0 else {
            throw AIOError(
                .limitReached, call: "sigaction", detail: "signals of this process are being watched already")
        }
        for (index, signal) in signals.enumerated() {
            let result = CallResult(rawValue: Int(caio_signal_watch(signal.rawValue)))
            guard let errno = result.errno else { continue }
            for installed in signals.prefix(index) { caio_signal_unwatch(installed.rawValue) }
            caio_signals_end()
            throw AIOError(errno: errno, call: "sigaction", detail: signal.description)
        }
    }

    /// The thread ends, and closes its end, when the other end is closed.
    private static func read(
        from readEnd: Int32, _ handler: @escaping @Sendable (ProcessSignal) -> Void
    ) throws(AIOError) -> PthreadThread {
        try PthreadThread(named: "aio-signals") {
            while true {
                let number = caio_read_byte(readEnd)
                if number <= 0 { break }
                handler(ProcessSignal(rawValue: Int32(number)))
            }
            close(readEnd)
        }
    }

    private static func close(_ number: Int32) { try? FileDescriptor(rawValue: number).close() }
}
