// The socket of a mock peer: reads whatever comes, unless it is stalled, and sends what it is given, as one of the
// runners of the simulation. Made by NetworkHost.connect and MockListener.accept.

import AIOBytes
import AIOKernel
import SystemPackage

/// A connected socket on a machine of its own. Sendable, unchecked: see `Runner`.
final class PeerSocket: Runner, @unchecked Sendable {
    let name: String
    private let kernel: SimulatedKernel
    private let stream: SimulatedStream
    let arrival: Arrival
    @safe @exclusivity(unchecked) private var descriptor: Descriptor?
    private let slabs = SlabPool(slabByteCount: 65_536, idleSlabsMax: 1)

    /// What has come and was not looked at yet.
    @safe @exclusivity(unchecked) private(set) var received: [UInt8] = []
    private(set) var receivedCount = 0
    /// What is still to be sent: one write after the other.
    @safe @exclusivity(unchecked) private var outgoing: [Bytes] = []
    private var endsAfterThat = false
    private var isInCall = false
    private var closesAfterCall = false
    private(set) var sentCount = 0
    /// The other side has ended, in order.
    @safe @exclusivity(unchecked) private(set) var sawEnd = false
    /// What the connection failed with.
    @safe @exclusivity(unchecked) private(set) var error: Errno?
    /// It ended the connection with a reset.
    private(set) var brokeOff = false
    /// It reads so many bytes more, and then nothing; nil: it reads on.
    @safe @exclusivity(unchecked) var readLimit: Int?

    init(name: String, kernel: SimulatedKernel, target: Endpoint, arrival: Arrival) throws(AIOError) {
        self.name = name
        self.kernel = kernel
        self.arrival = arrival
        let socket = try kernel.makeStreamSocket(for: target)
        guard let stream = kernel.file(socket.number, as: SimulatedStream.self, for: "socket") else {
            throw AIOError(.other, call: "socket")
        }
        self.stream = stream
        stream.arrival = arrival
        stream.writesWhole = true
        _ = kernel.connect(socket, to: target)
        descriptor = consume socket
    }

    /// The near end of a connection that came to a listening socket of this kernel; nil: with the listener's arrival.
    init(
        name: String, kernel: SimulatedKernel, accepted socket: consuming Descriptor, arrival: Arrival? = nil
    ) throws(AIOError) {
        self.name = name
        self.kernel = kernel
        guard let stream = kernel.file(socket.number, as: SimulatedStream.self, for: "accept") else {
            throw AIOError(.other, call: "accept")
        }
        self.stream = stream
        self.arrival = arrival ?? stream.arrival ?? .asSent
        descriptor = consume socket
    }

    var isConnecting: Bool { stream.phase == .connecting }
    var local: Endpoint? { stream.local }
    /// Of its descriptor, while it has one.
    var number: Int32? { descriptor?.number }
    /// Given to this peer and not taken by its kernel yet.
    var unsentByteCount: Int { outgoing.reduce(0) { $0 + $1.count } }
    /// What the other side's program has taken of it: neither under way nor in its socket.
    var takenByteCount: Int {
        guard let link = stream.outgoing else { return 0 }
        return sentCount - link.sent.count - link.arrived.count
    }
    /// Nothing more will come.
    var isOver: Bool { sawEnd || isGone }
    /// Nothing can be sent any more. (The other side's end does not keep this one from sending.)
    var cannotSend: Bool { isGone || stream.phase == .dead }
    private var isGone: Bool { error != nil || descriptor == nil || closesAfterCall }

    // MARK: What scripts do

    func send(_ bytes: Bytes) { if !bytes.isEmpty, !cannotSend { outgoing.append(bytes) } }
    func halfClose() { endsAfterThat = true }

    func reset() {
        guard descriptor != nil else { return }
        kernel.resetOnClose(descriptor!)
        brokeOff = true
        close()
    }

    /// In the middle of a call, in which the script may cut in, the descriptor is the call's until that returns.
    func close() {
        // close(2) with something unread resets the connection.
        if descriptor != nil, !(stream.incoming?.arrived.isEmpty ?? true) { brokeOff = true }
        if isInCall { closesAfterCall = true } else { descriptor = nil }
    }

    /// Takes what has come from the front.
    func take(_ byteCount: Int) -> [UInt8] {
        let taken = Array(received.prefix(byteCount))
        received.removeFirst(taken.count)
        return taken
    }

    // MARK: Steps

    /// As a number, because a literal of several options makes an array of them each time.
    private static let readMask =
        Readiness.readable.rawValue | Readiness.hangUp.rawValue | Readiness.error.rawValue

    private var canReceive: Bool {
        guard readLimit != 0, !sawEnd, error == nil else { return false }
        return stream.poll().rawValue & Self.readMask != 0
    }

    private var canSend: Bool {
        guard stream.phase == .connected, error == nil else { return false }
        return outgoing.isEmpty ? endsAfterThat && !stream.hasEnded : stream.freeSpace > 0
    }

    var canStep: Bool { descriptor != nil && !isConnecting && (canReceive || canSend) }
    var deadline: MonotonicTime? { nil }
    var isAlive: Bool { false }
    var waitsFor: String? { nil }

    func step() {
        isInCall = true
        if canReceive { receive() } else { sendSome() }
        isInCall = false
        if closesAfterCall { descriptor = nil }
    }

    private func receive() {
        let most = min(65_536, readLimit ?? .max)
        let (filled, bytes) = slabs.receive(atMost: most, expecting: 4_096) { span in
            kernel.receive(from: descriptor!, into: &span).rawValue
        }
        bytes.delivered()
        let result = CallResult(rawValue: filled)
        if filled > 0 {
            received.append(copying: bytes)
            receivedCount += filled
            // The script may have cut in, and set another.
            readLimit = readLimit.map { max(0, $0 - filled) }
        } else if filled == 0 {
            sawEnd = true
        } else if !result.wouldBlock {
            error = result.errno
        }
    }

    private func sendSome() {
        guard let first = outgoing.first else {
            _ = kernel.finishWriting(descriptor!)
            return
        }
        let result = kernel.send(first, to: descriptor!)
        guard result.isSuccess else {
            if !result.wouldBlock { error = result.errno }
            return
        }
        sentCount += result.count
        outgoing[0] = Bytes(first.dropFirst(result.count))
        if outgoing[0].isEmpty { outgoing.removeFirst() }
    }
}
