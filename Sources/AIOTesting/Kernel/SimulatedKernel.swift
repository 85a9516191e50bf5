// The kernel of a simulated machine: descriptors and counters. The engine and the scripts of a test call it through the
// `Kernel` protocol; epoll is in SimulatedKernel+Readiness.swift, sockets in +Sockets, files in +Disk, what joins machines in
// Network/.

import AIOBytes
package import AIOKernel
import SystemPackage

/// What an open number stands for: an epoll set, an event counter, a stream socket, a file, a placeholder.
package class SimulatedFile {
    /// The epoll sets it is in.
    final var watches: [EpollWatch] = []

    /// What is possible now. Asking may change the file, as poll(2) of a full socket does.
    func poll() -> Readiness { [] }

    /// Something changed, in the direction of `mask`; empty stands for everything. This is the edge.
    final func changed(_ mask: Readiness = []) {
        for watch in watches { watch.fileChanged(mask) }
    }

    /// Whether epoll takes it.
    var canBeWatched: Bool { true }

    /// Its descriptor was closed.
    func closed(by kernel: SimulatedKernel) {}
}

final class PlaceholderFile: SimulatedFile {}

/// How a simulated machine is made, and what is broken in it on purpose.
package struct SimulatedKernelOptions: Sendable {
    /// Of a socket; bytes.
    package var sendBufferByteCount = 128
    package var receiveBufferByteCount = 128
    /// Of a UDP socket.
    package var sendBufferDatagramsMax = 4
    /// What a UDP socket has taken stays in its buffer until a test lets it `depart`, and nothing arrives.
    package var holdsDatagrams = true
    /// Numbers in the table, 3 and up.
    package var descriptorsMax = 1_000
    /// One write of so many takes less than fits, as a kernel may; nil: none does.
    package var shortWritesOneIn: Int? = 4
    /// One io_submit(2) of so many takes fewer requests than there is room for, as a kernel may; nil: none does.
    package var shortSubmissionsOneIn: Int? = 4
    /// `fs.aio-max-nr`: disk requests of all contexts of the machine.
    package var diskRequestsMax = 65_536
    /// The signal of an event counter, counted from 1, that never arrives: a planted lost wake-up.
    package var lostSignal: Int?
}

extension SimulatedKernelOptions {
    /// Buffers as large as Linux begins with, so that ordinary tests meet them when they mean to.
    package static let roomy = SimulatedKernelOptions(
        sendBufferByteCount: 16_384, receiveBufferByteCount: 65_536, sendBufferDatagramsMax: 64,
        holdsDatagrams: false)
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
package final class SimulatedKernel: Kernel, @unchecked Sendable {
    package let options: SimulatedKernelOptions
    package let network: SimulatedNetwork
    package let trace: SimulationTrace
    /// What is to go wrong, by the test's wish.
    package let faults = Faults()
    @safe @exclusivity(unchecked) var chance: SeededRandom
    /// Its address in the network, besides loopback.
    package var address = IPAddress.v4(10, 0, 0, 1)
    /// Its files.
    package let disk: SimulatedDisk
    /// What the disk has to do; nil before the first context. See SimulatedKernel+Disk.swift.
    var diskQueue: DiskQueue?
    /// Has the schedule step it from then on.
    var diskQueueStarted: (DiskQueue) -> Void = { _ in }
    /// Called where the thread that makes a call could lose the processor and holds no lock of the engine's.
    package var preempt: () -> Void = {}

    @safe @exclusivity(unchecked) var table: [SimulatedFile?] = [nil, nil, nil]
    private var signalCount = 0
    /// The run has broken down, and threads are woken for no reason, so that it can be cleared away.
    var mayWakeEarly = false
    /// See SimulatedKernel+SocketFiles.swift.
    var socketFiles: [SocketFile] = []
    var lastInode: UInt64 = 0

    package init(
        options: SimulatedKernelOptions, network: SimulatedNetwork, chance: SeededRandom,
        disk: SimulatedDisk = SimulatedDisk()
    ) {
        self.options = options
        self.network = network
        self.chance = chance
        self.disk = disk
        trace = network.trace
        network.add(self)
    }

    // MARK: Time and chance

    package var now: MonotonicTime { network.time.now }
    package func random() -> UInt64 { chance.next() }
    package var usableProcessorCount: Int { 2 }
    func noteActivity() { network.noteActivity() }

    /// The address of the machine that `endpoint` is on: loopback and Unix sockets are on this one.
    func reached(by endpoint: Endpoint) -> IPAddress {
        guard let target = endpoint.address, !target.isLoopback else { return address }
        return target
    }

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

    func opened(_ number: Int32) -> SimulatedFile? {
        table.indices.contains(Int(number)) ? table[Int(number)] : nil
    }

    /// The file of a number, as `File`; a number that is not open, or is something else, is a violation.
    func file<File: SimulatedFile>(_ number: Int32, as type: File.Type, for call: String) -> File? {
        if let file = opened(number) as? File { return file }
        trace.violation("\(call) of \(number), which is not an open \(type)")
        return nil
    }

    package func close(_ number: Int32) {
        guard let file = file(number, as: SimulatedFile.self, for: "close") else { return }
        trace.note("close", Int(number))
        table[Int(number)] = nil
        for watch in file.watches { watch.epoll.forget(watch) }
        file.watches = []
        file.closed(by: self)
    }

    package func openPlaceholder() throws(AIOError) -> Descriptor {
        try check(SimulatedCall(.open, path: "/dev/null"), detail: "/dev/null")
        return try openOrThrow(PlaceholderFile(), call: "open")
    }

    /// What nobody has closed: number and kind.
    package var openDescriptors: [String] { openDescriptors(besides: []) }

    func openDescriptors(besides known: [Int32]) -> [String] {
        table.indices.compactMap { number in
            guard let file = table[number], !known.contains(Int32(number)) else { return nil }
            return "\(number) (\(type(of: file)))"
        }
    }

    // MARK: Event counters

    package func makeEventCounter() throws(AIOError) -> Descriptor {
        try check(SimulatedCall(.makeEventCounter))
        return try openOrThrow(EventCounter(), call: "eventfd")
    }

    package func signal(_ counter: borrowing Descriptor) {
        guard let file = file(counter.number, as: EventCounter.self, for: "signal") else { return }
        signalCount += 1
        let isLost = signalCount == options.lostSignal
        trace.note(isLost ? "signal, which is lost," : "signal", Int(counter.number), signalCount)
        noteActivity()
        if !isLost { file.add() }
    }

    // MARK: Names

    package func resolve(host: String, port: UInt16) throws(AIOError) -> [Endpoint] {
        if case .fail(let errno) = fault(SimulatedCall(.resolve, peer: .host(host, port: port))) {
            // EAI_SYSTEM.
            throw AIOError(.nameResolutionFailed, errno: errno, call: "getaddrinfo", detail: host)
        }
        return try network.names.addresses(of: host).map { .ip($0, port: port) }
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
