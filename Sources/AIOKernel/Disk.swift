// Linux AIO with types: a context that ends itself, a request that owns its buffer, a completion that gives
// the buffer back. The kernel owns the buffer from `submit` until the completion arrives, whatever the caller
// does: io_cancel(2) does nothing for disks.

package import SystemPackage

/// A Linux AIO context (io_setup(2)). Ends with its owner; ending waits for what is in flight.
package struct DiskContext: ~Copyable, Sendable {
    package let identity: UInt
    package let requestsMax: Int
    package let kernel: any Kernel

    package init(identity: UInt, requestsMax: Int, kernel: any Kernel) {
        self.identity = identity
        self.requestsMax = requestsMax
        self.kernel = kernel
    }

    deinit { kernel.destroyDiskContext(identity) }
}

// What every kernel says when io_setup(2) does not give what it was asked for.
extension DiskContext {
    /// `requestsMax` in the type of io_setup(2), which takes no number below 1.
    package static func checkedCount(_ requestsMax: Int) throws(AIOError) -> CInt {
        if requestsMax > 0, let count = CInt(exactly: requestsMax) { return count }
        throw AIOError(
            .invalidArgument, errno: .invalidArgument, call: "io_setup",
            detail: "\(requestsMax) disk requests at once; expected 1 to \(CInt.max)")
    }

    /// EAGAIN names `fs.aio-max-nr` and `fs.aio-nr`; nil for one that is not known.
    package static func error(
        ofSetUp errno: Errno, requestsMax: Int, systemMax: Int?, systemCount: Int?
    ) -> AIOError {
        let asked = "\(requestsMax) disk requests at once"
        guard errno == .resourceTemporarilyUnavailable || errno == .wouldBlock else {
            return AIOError(errno: errno, call: "io_setup", detail: asked)
        }
        let limit = systemMax.map(String.init) ?? "unknown"
        let used = systemCount.map(String.init) ?? "unknown"
        return AIOError(
            .diskRequestLimit, errno: errno, call: "io_setup",
            detail: asked + "; the system-wide limit fs.aio-max-nr is \(limit), "
                + "of which fs.aio-nr \(used) are taken")
    }
}

/// What became of one request.
package struct DiskCompletion: Sendable {
    package let request: DiskRequest
    /// Bytes transferred, or `-errno`.
    package let result: CallResult

    package init(request: DiskRequest, result: CallResult) {
        self.request = request
        self.result = result
    }
}
