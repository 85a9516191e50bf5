// Linux AIO with types: a context that ends itself, a request that owns its buffer, a completion that gives
// the buffer back. The kernel owns the buffer from `submit` until the completion arrives, whatever the caller
// does: io_cancel(2) does nothing for disks.

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
