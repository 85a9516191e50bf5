// One simulated Linux AIO context: requests from io_submit(2) until they are reaped. DiskQueue.swift carries
// them out.

import AIOKernel

/// A request that is on its way.
struct DiskTransfer {
    let request: DiskRequest
    let file: DiskFile
    /// To be signalled when it is done.
    let signal: EventCounter?
    /// As many bytes as it can move: a read ends at what was the end of the file when it was submitted.
    let byteCountMax: Int
    /// Not before.
    let due: MonotonicTime
}

/// A context holds what it was given from `submit` until `reap`, as `LinuxDiskContext` does, and so do its
/// slots: what is done and not yet reaped takes one up too.
final class SimulatedDiskContext {
    let identity: UInt
    let requestsMax: Int
    var inFlight: [DiskTransfer] = []
    /// The ring: in the order of completion.
    var completed: [DiskCompletion] = []

    init(identity: UInt, requestsMax: Int) {
        self.identity = identity
        self.requestsMax = requestsMax
    }

    var room: Int { requestsMax - inFlight.count - completed.count }

    func takeCompleted() -> [DiskCompletion] {
        let taken = completed
        completed = []
        for completion in taken { completion.request.buffer.takeBack() }
        return taken
    }
}
