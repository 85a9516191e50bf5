// One pthread as an object: born with its signals blocked, named, joined once whoever asks, or let go when
// nobody holds it any more. PthreadHost.swift starts workers with it, OffloadPool.swift its threads.

internal import CAIOLinux
internal import Glibc
internal import SystemPackage

/// A thread that runs a closure.
///
/// A pthread must be joined or detached exactly once. The first `join` does it for all: others wait on a
/// condition until it has. `deinit` detaches a thread that was never joined. The thread holds only its
/// closure, not this object, so dropping the object is always possible, even by the thread itself.
///
/// `@unchecked Sendable`, proof: `identity` is set in `init` and never again; `joining` is read and written
/// only while `lock` is held, or in `deinit`, when nobody else has a reference.
package final class PthreadThread: HostThread, @unchecked Sendable {
    private enum Joining {
        case notYet, underWay, done
    }

    /// A `pthread_t`, which on Linux is a number.
    private let identity: UInt64
    private let lock = PosixLock()
    private let joined = PosixCondition()
    private var joining = Joining.notYet

    /// Starts the thread. Throws `.limitReached` if the system has no room for another one.
    package init(named name: String, _ main: @escaping @Sendable () -> Void) throws(AIOError) {
        let start = unsafe Unmanaged.passRetained(PthreadStart(name: name, main: main))
        var identity: UInt64 = 0
        // SAFETY: `start` is balanced either by the thread, which takes it as its first act, or below if
        // there is no thread.
        let answer = unsafe caio_thread_start({ unsafe PthreadStart.run($0) }, start.toOpaque(), &identity)
        let failure = CInt(truncatingIfNeeded: -answer)
        guard failure == 0 else {
            unsafe start.release()
            throw AIOError(
                failure == EAGAIN ? .limitReached : AIOError.Code(Errno(rawValue: failure)),
                errno: Errno(rawValue: failure), call: "pthread_create",
                detail: "thread \(name); see RLIMIT_NPROC, kernel.threads-max and the cgroup's pids.max")
        }
        self.identity = identity
    }

    deinit {
        // The thread's resources go when it ends. A failure would mean that it was joined, which `joining`
        // excludes.
        if joining == .notYet { _ = caio_thread_detach(identity) }
    }

    package func join() {
        lock.lock()
        defer { lock.unlock() }
        switch joining {
        case .done: return
        case .underWay: while joining != .done { joined.wait(lock) }
        case .notYet:
            joining = .underWay
            lock.unlock()
            // Joined once, by the only caller that found `notYet`; the thread's result is not asked for.
            let failure = caio_thread_join(identity)
            precondition(failure != -Int(EDEADLK), "a thread cannot join itself")
            lock.lock()
            joining = .done
            joined.broadcast()
        }
    }
}

/// What a thread is started with, on its way through `pthread_create`'s argument.
private final class PthreadStart: Sendable {
    private static let nameByteCountMax = 15

    private let name: [CChar]
    private let main: @Sendable () -> Void

    init(name: String, main: @escaping @Sendable () -> Void) {
        self.name = name.utf8.prefix(Self.nameByteCountMax).map(CChar.init(bitPattern:)) + [0]
        self.main = main
    }

    static func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument = unsafe argument else { return nil }
        // SAFETY: the pointer that `PthreadThread.init` retained for this thread; taken once.
        let start = unsafe Unmanaged<PthreadStart>.fromOpaque(argument).takeRetainedValue()
        // SAFETY: 15 bytes at most and a NUL. A thread without a name works as well.
        _ = unsafe caio_set_thread_name(start.name)
        start.main()
        return nil
    }
}
