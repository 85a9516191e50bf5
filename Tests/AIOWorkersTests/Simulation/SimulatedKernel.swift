// The kernel of a simulation: descriptors, virtual time, chance. The engine and the scripts of a test call it
// through the `Kernel` protocol; epoll is in SimulatedKernel+Readiness.swift, sockets in +Sockets, the wire
// in +Network.

import AIOKernel
import SystemPackage

/// What an open number stands for: an epoll set, an event counter, a stream socket, a placeholder.
class SimulatedFile {
    /// The epoll sets it is in.
    final var watches: [EpollWatch] = []

    /// What is possible now. Asking may change the file, as poll(2) of a full socket does.
    func poll() -> Readiness { [] }

    /// Something changed, in the direction of `mask`; empty stands for everything. This is the edge.
    final func changed(_ mask: Readiness = []) {
        for watch in watches { watch.fileChanged(mask) }
    }

    /// Its descriptor was closed.
    func closed(by kernel: SimulatedKernel) {}
}

final class PlaceholderFile: SimulatedFile {}

/// How a simulated machine is made, and what is broken in it on purpose.
struct SimulatedKernelOptions {
    /// Of a socket; bytes.
    var sendBufferByteCount = 128
    var receiveBufferByteCount = 128
    /// Of a UDP socket.
    var sendBufferDatagramsMax = 4
    /// Numbers in the table, 3 and up.
    var descriptorsMax = 1_000
    /// The signal of an event counter, counted from 1, that never arrives: a planted lost wake-up.
    var lostSignal: Int?
}

/// A kernel in memory.
///
/// It is faithful where the engine relies on it, and random where the real one makes no promise: numbers are
/// the lowest that are free, so a number that is used after its close means something else soon; edges are
/// reported once; a read brings all that has arrived, up to what was asked for, but how much has arrived is
/// up to the wire; a write takes what fits or less. Nothing blocks. Time stands still unless the host moves
/// it.
///
/// Nothing here is iterated in the order of a hash table, which differs from one process to the next.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
final class SimulatedKernel: Kernel, @unchecked Sendable {
    let options: SimulatedKernelOptions
    let trace: SimulationTrace
    var chance: SeededRandom
    /// Called where the thread that makes a call could lose the processor and holds no lock of the engine's.
    var preempt: () -> Void = {}
    /// Grows with all that brings something about: bytes, connections, ends, signals. A simulation in which
    /// only time passes is stalled.
    private(set) var activity = 0

    var table: [SimulatedFile?] = [nil, nil, nil]
    var bindings: [SocketBinding] = []
    var links: [StreamLink] = []
    /// All ends of connections, which links point to without holding them.
    var streams: [SimulatedStream] = []
    var handshakes: [Handshake] = []
    var nextPort: UInt16 = 40_000
    private var signalCount = 0
    private(set) var now = MonotonicTime(nanoseconds: 1_000_000_000_000)

    init(options: SimulatedKernelOptions, chance: SeededRandom, trace: SimulationTrace) {
        self.options = options
        self.chance = chance
        self.trace = trace
        trace.nanoseconds = now.nanoseconds
    }

    // MARK: Time and chance

    func advance(to time: MonotonicTime) {
        now = max(now, time)
        trace.nanoseconds = now.nanoseconds
    }

    func random() -> UInt64 { chance.next() }
    var usableProcessorCount: Int { 2 }
    func noteActivity() { activity += 1 }

    // MARK: Descriptors

    /// Gives `file` the lowest free number; nil if the table is full.
    func open(_ file: SimulatedFile) -> Descriptor? {
        if let free = table.indices.dropFirst(3).first(where: { table[$0] == nil }) {
            table[free] = file
            return Descriptor(number: Int32(free), kernel: self)
        }
        guard table.count - 3 < options.descriptorsMax else { return nil }
        table.append(file)
        return Descriptor(number: Int32(table.count - 1), kernel: self)
    }

    func openOrThrow(_ file: SimulatedFile, call: String) throws(AIOError) -> Descriptor {
        guard let descriptor = open(file) else { throw AIOError(errno: .tooManyOpenFiles, call: call) }
        trace.note(call, 0, Int(descriptor.number))
        return descriptor
    }

    /// The file of a number, as `File`; a number that is not open, or is something else, is a violation.
    func file<File: SimulatedFile>(_ number: Int32, as type: File.Type, for call: String) -> File? {
        if table.indices.contains(Int(number)), let file = table[Int(number)] as? File { return file }
        trace.violation("\(call) of \(number), which is not an open \(type)")
        return nil
    }

    func close(_ number: Int32) {
        guard let file = file(number, as: SimulatedFile.self, for: "close") else { return }
        trace.note("close", Int(number))
        table[Int(number)] = nil
        for watch in file.watches { watch.epoll.forget(watch) }
        file.watches = []
        file.closed(by: self)
    }

    func openPlaceholder() throws(AIOError) -> Descriptor { try openOrThrow(PlaceholderFile(), call: "open") }

    /// What nobody has closed: number and kind.
    var openDescriptors: [String] {
        table.indices.compactMap { number in table[number].map { "\(number) (\(type(of: $0)))" } }
    }

    // MARK: Event counters

    func makeEventCounter() throws(AIOError) -> Descriptor {
        try openOrThrow(EventCounter(), call: "eventfd")
    }

    func signal(_ counter: borrowing Descriptor) {
        guard let file = file(counter.number, as: EventCounter.self, for: "signal") else { return }
        signalCount += 1
        let isLost = signalCount == options.lostSignal
        trace.note(isLost ? "signal, which is lost," : "signal", Int(counter.number), signalCount)
        noteActivity()
        if !isLost { file.add() }
    }

    // MARK: What this kernel has not

    func removeStaleSocket(at path: String) -> Bool { false }
    func socketFileIdentity(at path: String) -> FileIdentity? { nil }
    func removeSocketFile(at path: String) {}

    func resolve(host: String, port: UInt16) throws(AIOError) -> [Endpoint] { [.ip(.loopbackV4, port: port)] }

    func makeDiskContext(requestsMax: Int) throws(AIOError) -> DiskContext {
        throw AIOError(.unsupported, call: "io_setup", detail: "the simulated kernel has no disk")
    }

    func destroyDiskContext(_ identity: UInt) { trace.violation("io_destroy of \(identity)") }
    func submit(_ requests: [DiskRequest], to context: borrowing DiskContext) -> CallResult {
        CallResult(.noFunction)
    }
    func reap(from context: borrowing DiskContext, into completions: inout [DiskCompletion]) -> CallResult {
        CallResult(.noFunction)
    }
}

/// eventfd(2). Nobody reads it: each signal is an edge.
final class EventCounter: SimulatedFile {
    private var count: UInt64 = 0

    func add() {
        count += 1
        changed(.readable)
    }

    override func poll() -> Readiness { count > 0 ? [.readable, .writable] : .writable }
}
