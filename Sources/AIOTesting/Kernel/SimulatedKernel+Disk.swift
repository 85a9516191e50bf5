// Files and Linux AIO in memory: opening, and io_setup(2) to io_destroy(2). What becomes of a request is in
// Disk/.

package import AIOKernel
package import SystemPackage

extension SimulatedKernel {
    /// open(2) of a file of this machine's disk: ENOENT if there is none, EINVAL for `O_DIRECT` where the
    /// file system does not take it.
    package func open(
        _ path: String, access: FileDescriptor.AccessMode = .readWrite, direct: Bool
    ) throws(AIOError) -> Descriptor {
        try check(SimulatedCall(.open, path: path), detail: path)
        let stored = try disk.file(at: path, for: "open")
        if direct, !disk.takesDirect { throw AIOError(errno: .invalidArgument, call: "open", detail: path) }
        let file = DiskFile(stored, path: path, access: access, isDirect: direct)
        return try openOrThrow(file, call: "open")
    }

    // MARK: Linux AIO

    /// The kernel's own limit on one context: its ring has twice as many places of 32 bytes, and less than
    /// 256 MiB.
    private static let contextRequestsMax = 4_194_304

    package func makeDiskContext(requestsMax: Int) throws(AIOError) -> DiskContext {
        _ = try DiskContext.checkedCount(requestsMax)
        let queue = diskQueue ?? startDiskQueue()
        if let errno = setUpFailure(requestsMax, in: queue) {
            throw DiskContext.error(
                ofSetUp: errno, requestsMax: requestsMax, systemMax: options.diskRequestsMax,
                systemCount: queue.requestsMax)
        }
        let identity = queue.makeContext(requestsMax: requestsMax).identity
        trace.note("io_setup", Int(identity), requestsMax)
        return DiskContext(identity: identity, requestsMax: requestsMax, kernel: self)
    }

    private func setUpFailure(_ requestsMax: Int, in queue: DiskQueue) -> Errno? {
        if case .fail(let errno) = fault(SimulatedCall(.makeDiskContext, byteCount: requestsMax)) {
            return errno
        }
        guard requestsMax <= Self.contextRequestsMax else { return .invalidArgument }
        let isTooMuch = requestsMax > options.diskRequestsMax - queue.requestsMax
        return isTooMuch ? .resourceTemporarilyUnavailable : nil
    }

    /// Not before there is something for it to do, so that a run without files is the same with and without
    /// it.
    private func startDiskQueue() -> DiskQueue {
        let queue = DiskQueue(of: self, chance: chance.split())
        diskQueue = queue
        diskQueueStarted(queue)
        return queue
    }

    package func destroyDiskContext(_ identity: UInt) {
        guard let context = diskContext(identity, for: "io_destroy") else { return }
        trace.note("io_destroy", Int(identity), context.inFlight.count)
        diskQueue?.destroy(context)
    }

    package func submit(_ requests: [DiskRequest], to context: borrowing DiskContext) -> CallResult {
        let identity = context.identity
        preempt()
        guard let queue = diskQueue, let context = diskContext(identity, for: "io_submit") else {
            return CallResult(.invalidArgument)
        }
        let result = queue.submit(requests, to: context)
        trace.note("io_submit of \(requests.count)", Int(identity), result.rawValue)
        if result.count > 0 { noteActivity() }
        preempt()
        return result
    }

    package func reap(
        from context: borrowing DiskContext, into completions: inout [DiskCompletion]
    ) -> CallResult {
        let identity = context.identity
        preempt()
        guard let context = diskContext(identity, for: "io_getevents") else {
            return CallResult(.invalidArgument)
        }
        let taken = context.takeCompleted()
        completions += taken
        trace.note("io_getevents", Int(identity), taken.count)
        preempt()
        return CallResult(rawValue: taken.count)
    }

    private func diskContext(_ identity: UInt, for call: String) -> SimulatedDiskContext? {
        if let context = diskQueue?.context(identity) { return context }
        trace.violation("\(call) of \(identity), which is no disk context")
        return nil
    }
}
