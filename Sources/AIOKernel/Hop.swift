// The hops of a byte's way through the engine, for a host that wants to see them: the simulation's trace. Production hosts do
// not, and then a hop costs a load and a branch.

/// A step of a message's way.
package enum Hop: String, Sendable {
    /// The worker has read bytes from the kernel.
    case kernelToWorker = "kernel→worker"
    /// A connection was put among the completions, for the event stream or a partner.
    case completion
    /// A task that waited to read goes on.
    case resume
    /// The program's bytes were accepted.
    case write
    /// The kernel took bytes from the worker.
    case workerToKernel = "worker→kernel"
    /// The connection is closed, and the program is about to learn why.
    case closed
}

/// Who watches hops. Called on whichever thread the hop happens, possibly with the connection's lock held: it only takes note.
package protocol HopTracer: AnyObject, Sendable {
    func note(_ hop: Hop, connection: UInt64, byteCount: Int)
}

extension Host {
    package var hopTracer: (any HopTracer)? { nil }
}
