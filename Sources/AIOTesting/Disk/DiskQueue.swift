// What a simulated machine's disk has to do: of the requests that io_submit(2) brought
// (DiskQueue+Submission.swift) one is carried out a step, and its completion put on the ring of its context.
// The scheduler runs it like a thread, so anything may happen between a request and its end.

import AIOKernel
import SystemPackage

/// Theory of operation. What Linux finds out before it asks the device, it answers inside io_submit: what is
/// wrong with a request as such (its descriptor, its place) is the answer of the call, and about the first
/// request that it has not taken; what the file system says (EINVAL for what is not aligned, EAGAIN for what
/// would have to wait, the end of the file, everything about a file that is not opened direct) is a
/// completion, and on the ring when the call returns. The behaviour table of
/// Tests/AIOTestingTests/DiskBehaviourTests.swift holds both kernels to that.
///
/// The rest is in flight. It comes to an end in any order, each at a step of its own, and only then are bytes
/// moved: who uses a buffer before that sees what a disk would have done to it. A request is a whole: what
/// others see of a write is nothing or all.
///
/// A rule may have a request fail or do less than it should (`SimulatedCall.Name.transfer`); it is not asked
/// about what is answered without the device.
///
/// Sendable, unchecked: see `Runner`.
final class DiskQueue: Runner, @unchecked Sendable {
    var name = "disk"
    unowned let kernel: SimulatedKernel
    let time: SimulatedTime
    var chance: SeededRandom
    /// In the order in which they were made.
    private var contexts: [SimulatedDiskContext] = []
    private var lastIdentity: UInt = 0

    init(of kernel: SimulatedKernel, chance: SeededRandom) {
        self.kernel = kernel
        self.chance = chance
        time = kernel.network.time
    }

    // MARK: Contexts

    /// What all contexts together may have in flight: `fs.aio-nr`.
    var requestsMax: Int { contexts.reduce(0) { $0 + $1.requestsMax } }

    func makeContext(requestsMax: Int) -> SimulatedDiskContext {
        lastIdentity += 1
        let context = SimulatedDiskContext(identity: lastIdentity, requestsMax: requestsMax)
        contexts.append(context)
        return context
    }

    func context(_ identity: UInt) -> SimulatedDiskContext? { contexts.first { $0.identity == identity } }

    /// io_destroy(2) waits; here everything that is in flight comes to its end at once.
    func destroy(_ context: SimulatedDiskContext) {
        while !context.inFlight.isEmpty {
            complete(chance.number(below: context.inFlight.count), in: context)
        }
        _ = context.takeCompleted()
        contexts.removeAll { $0 === context }
    }

    // MARK: Steps

    // In plain loops, as it is asked before every step of the simulation.
    var canStep: Bool {
        for context in contexts {
            for transfer in context.inFlight where transfer.due <= time.now { return true }
        }
        return false
    }

    var deadline: MonotonicTime? {
        contexts.lazy.compactMap { $0.inFlight.lazy.map(\.due).min() }.min()
    }

    var isAlive: Bool { false }

    var waitsFor: String? {
        let count = contexts.reduce(0) { $0 + $1.completed.count }
        return count == 0 ? nil : "has done \(count) requests whose completions nobody has reaped"
    }

    /// One request, drawn from those that are due.
    func step() {
        let due = contexts.flatMap { context in
            context.inFlight.indices.filter { context.inFlight[$0].due <= time.now }.map { (context, $0) }
        }
        guard !due.isEmpty else { return }
        let (context, index) = due[chance.number(below: due.count)]
        complete(index, in: context)
    }

    // MARK: Completing

    private func complete(_ index: Int, in context: SimulatedDiskContext) {
        let transfer = context.inFlight.remove(at: index)
        complete(transfer, carryOut(transfer), in: context)
    }

    func complete(
        _ transfer: DiskTransfer, _ result: CallResult, in context: SimulatedDiskContext
    ) {
        let request = transfer.request
        kernel.trace.note(
            "\(request.operation) of \(request.byteCount) bytes at \(request.offset)",
            Int(request.target.descriptor.number), result.rawValue)
        context.completed.append(DiskCompletion(request: request, result: result))
        transfer.signal?.add()
        kernel.noteActivity()
    }

    func carryOut(_ transfer: DiskTransfer) -> CallResult {
        let request = transfer.request
        var byteCountMax = transfer.byteCountMax
        switch kernel.fault(SimulatedCall(.transfer, about: request, path: transfer.file.path)) {
        case nil: break
        case .fail(let errno): return CallResult(errno)
        case .shorten(let count): byteCountMax = min(byteCountMax, max(count, 1))
        }
        return CallResult(rawValue: move(byteCountMax, for: transfer))
    }

    /// How many bytes were moved: of a read fewer, if the file was cut off in the meantime.
    private func move(_ byteCountMax: Int, for transfer: DiskTransfer) -> Int {
        let request = transfer.request, stored = transfer.file.stored
        // SAFETY: the buffer is lent until its completion is reaped, so this queue is the one user of its
        // memory; the request fits it (its init checks), and nothing moves more than the request.
        let memory = unsafe UnsafeMutableRawBufferPointer(
            start: request.buffer.baseAddress, count: request.byteCount)
        switch request.operation {
        case .read:
            let bytes = stored.read(byteCountMax, at: request.offset)
            // Whole blocks come from a device, and what is behind the end of the file in them is zeros.
            let isWhole = transfer.file.isDirect && byteCountMax == transfer.byteCountMax
            let padding = [UInt8](repeating: 0, count: isWhole ? request.byteCount - bytes.count : 0)
            unsafe memory.copyBytes(from: bytes + padding)
            return bytes.count
        case .write:
            unsafe stored.write(Array(memory[..<byteCountMax]), at: request.offset)
            return byteCountMax
        }
    }
}
