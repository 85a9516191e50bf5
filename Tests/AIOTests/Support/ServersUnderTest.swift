// What tests of servers share: a server that runs in the background, gates for handlers to wait at, and lists
// that handlers write to.

import AIO
import AIOKernel
import AIOWorkers
import Glibc
import SystemPackage

/// A server that is being served.
struct Serving: Sendable {
    let server: Server
    let task: Task<DrainReport, any Error>

    var endpoint: Endpoint { server.endpoint }

    /// What `serve` returned.
    var report: DrainReport { get async throws { try await task.value } }

    func drained(within timeout: Duration = .seconds(30)) async throws -> DrainReport {
        server.drain(within: timeout)
        return try await task.value
    }
}

extension Proactor {
    func serving(
        _ options: ServerOptions = ServerOptions(), on endpoint: String = "127.0.0.1:0",
        _ handler: @escaping @Sendable (Connection) async throws -> Void
    ) async throws -> Serving {
        let server = try await listen(on: endpoint, options: options)
        return Serving(server: server, task: Task { try await server.serve(handler) })
    }

    func serving<Handler: ConnectionHandler>(
        _ options: ServerOptions = ServerOptions(), on endpoint: String = "127.0.0.1:0",
        actor handler: @escaping @Sendable (Connection) throws -> Handler
    ) async throws -> Serving {
        let server = try await listen(on: endpoint, options: options)
        return Serving(server: server, task: Task { try await server.serve(handler: handler) })
    }
}

extension ServerOptions {
    static func testing(_ change: (inout Self) -> Void = { _ in }) -> Self {
        var options = Self()
        change(&options)
        return options
    }
}

extension Connection {
    /// Sends back what comes, until the end.
    func echo() async throws { for try await chunk in chunks { try await write(chunk) } }

    /// Whether the calling thread is the one that this connection's handlers should run on.
    func isAtHome(_ executor: HandlerExecutor) -> Bool {
        switch executor {
        case .worker: core.worker.isCurrent
        case .partner: !core.worker.isCurrent && core.worker.partner?.executors.jobs.isCurrent == true
        case .global: !threadName().hasPrefix("aio-")
        }
    }
}

/// The calling thread's name, as the kernel has it.
func threadName() -> String {
    let number = unsafe open("/proc/thread-self/comm", O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return "" }
    defer { close(number) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(number, $0.baseAddress!, $0.count) }
    return String(decoding: bytes.prefix(max(count, 0)).prefix { $0 != 0x0a }, as: UTF8.self)
}

/// Values that several threads leave.
///
/// Sendable, unchecked: `list` is under `lock`, which the thread sanitizer understands.
final class Recorder<Value: Sendable>: @unchecked Sendable {
    private let lock = PosixLock()
    private var list: [Value] = []

    func add(_ value: Value) { lock.withLock { list.append(value) } }
    var values: [Value] { lock.withLock { list } }
    var count: Int { lock.withLock { list.count } }
}

/// Tasks wait here until it is opened, whether or not they are cancelled.
///
/// Sendable, unchecked: everything that changes is under `lock`.
final class Gate: @unchecked Sendable {
    private let lock = PosixLock()
    private let arrivals = Arrivals()
    private var isOpen = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func wait() async {
        await withCheckedContinuation { continuation in
            let goesOn = lock.withLock { () -> Bool in
                if !isOpen { waiting.append(continuation) }
                return isOpen
            }
            if goesOn { continuation.resume() } else { arrivals.note() }
        }
    }

    /// Returns once so many have come to wait here.
    func arrived(_ count: Int = 1) async throws { try await arrivals.reached(count) }

    func open() {
        let released = lock.withLock { () -> [CheckedContinuation<Void, Never>] in
            isOpen = true
            defer { waiting = [] }
            return waiting
        }
        for continuation in released { continuation.resume() }
    }

    /// How many wait.
    var count: Int { lock.withLock { waiting.count } }
}

/// Threads wait here until it is opened: what a handler must never do, and some do.
///
/// Sendable, unchecked: everything that changes is under `lock`.
final class ThreadGate: @unchecked Sendable {
    private let lock = PosixLock()
    private let changed = PosixCondition()
    private let clock = LinuxKernel()
    private let arrivals = Arrivals()
    private var isOpen = false
    private var waitingCount = 0

    /// Returns once a thread has come to wait here.
    func arrived() async throws { try await arrivals.reached(1) }

    func wait() {
        let deadline = clock.now.advanced(by: .seconds(50))
        arrivals.note()
        lock.withLock {
            waitingCount += 1
            while !isOpen, clock.now < deadline { changed.wait(lock, until: deadline) }
            waitingCount -= 1
        }
    }

    func open() {
        lock.withLock { isOpen = true }
        changed.broadcast()
    }

    var count: Int { lock.withLock { waitingCount } }
}

/// A configuration whose reports go to a list.
func reporting(
    to reports: Recorder<Report>, _ change: (inout Proactor.Configuration) -> Void = { _ in }
) -> Proactor.Configuration {
    .testing {
        $0.report = { reports.add($0) }
        change(&$0)
    }
}

/// The code of the error that `body` throws.
func errorCode(of body: () async throws -> Void) async -> AIOError.Code? {
    do {
        try await body()
        return nil
    } catch { return (error as? AIOError)?.code }
}

extension RawPeer {
    /// Sends `text`, and receives as many bytes.
    func exchange(_ text: String) throws -> String {
        try send(text)
        return try receiveText(text.utf8.count)
    }

    /// True if the peer ends in an orderly way without another byte.
    func seesEnd() throws -> Bool { try receiveToEnd().isEmpty }

    /// True if the connection was reset.
    func seesReset() -> Bool {
        do {
            _ = try receiveToEnd()
            return false
        } catch { return !(error is PeerTimeout) }
    }
}

/// Whether nobody listens there any more.
func isRefused(_ endpoint: Endpoint) -> Bool {
    do {
        try RawPeer(connectingTo: endpoint).close()
        return false
    } catch { return error as? Errno == .connectionRefused || error as? Errno == .noSuchFileOrDirectory }
}
