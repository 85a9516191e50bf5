// Linux AIO: contexts by identity. Called by the worker that owns the context; the requests in flight are
// kept by LinuxDiskContext.swift.

internal import CLibAIO
internal import Glibc
internal import SystemPackage

extension LinuxKernel {
    /// io_setup(2). What the system has left is `fs.aio-max-nr` less `fs.aio-nr`; both are in the error's
    /// detail when it is too little.
    package func makeDiskContext(requestsMax: Int) throws(AIOError) -> DiskContext {
        let count = try DiskContext.checkedCount(requestsMax)
        var handle: io_context_t? = nil
        // SAFETY: `handle` is nil as io_setup wants it, and holds a context only if it succeeds.
        let answer = unsafe io_setup(count, &handle)
        guard answer == 0, let handle = unsafe handle else {
            throw Self.error(ofSetUp: Errno(rawValue: -answer), requestsMax: requestsMax)
        }
        let identity = UInt(bitPattern: handle)
        unsafe diskContexts.insert(LinuxDiskContext(handle, requestsMax: requestsMax), for: identity)
        return DiskContext(identity: identity, requestsMax: requestsMax, kernel: self)
    }

    private static func error(ofSetUp errno: Errno, requestsMax: Int) -> AIOError {
        DiskContext.error(
            ofSetUp: errno, requestsMax: requestsMax, systemMax: PseudoFile.number("/proc/sys/fs/aio-max-nr"),
            systemCount: PseudoFile.number("/proc/sys/fs/aio-nr"))
    }

    package func destroyDiskContext(_ identity: UInt) { diskContexts.remove(identity)?.destroy() }

    package func submit(_ requests: [DiskRequest], to context: borrowing DiskContext) -> CallResult {
        guard let context = diskContexts[context.identity] else { return CallResult(.invalidArgument) }
        return context.submit(requests)
    }

    package func reap(from context: borrowing DiskContext, into completions: inout [DiskCompletion])
        -> CallResult
    {
        guard let context = diskContexts[context.identity] else { return CallResult(.invalidArgument) }
        return context.reap(into: &completions)
    }
}

/// The disk contexts of a kernel by their identity, the address of the kernel's ring. A few entries, looked
/// up once a submission and once a reaping.
///
/// `@unchecked Sendable`, proof: `contexts` is read and written only while `lock` is held.
final class LinuxDiskContextTable: @unchecked Sendable {
    private let lock = PosixLock()
    private var contexts: [UInt: LinuxDiskContext] = [:]

    subscript(identity: UInt) -> LinuxDiskContext? { lock.withLock { contexts[identity] } }

    func insert(_ context: LinuxDiskContext, for identity: UInt) {
        lock.withLock { contexts[identity] = context }
    }

    func remove(_ identity: UInt) -> LinuxDiskContext? {
        lock.withLock { contexts.removeValue(forKey: identity) }
    }
}
