// The everyday tool: the other side of one connection, as a script. Sends, and says what it expects to come.

public import AIOBytes
public import AIOKernel
import SystemPackage
public import Testing

/// The peer of a connection under test, over a simulated network.
///
/// It reads whatever comes as soon as it comes, unless it is stalled; `expect` and its relatives look at what has come.
/// None of them ever hangs: each ends when what it waits for is there, when that can no longer come, when its time is over,
/// in virtual time, or when nobody in the simulation can go on. A mismatch is recorded as an issue at the line of the
/// call, with the difference, and thrown.
///
/// Sendable, unchecked: all of it runs on the simulation's thread.
public final class MockPeer: @unchecked Sendable {
    let simulation: Simulation
    let socket: PeerSocket

    init(simulation: Simulation, socket: PeerSocket) {
        self.simulation = simulation
        self.socket = socket
    }

    /// How long `expect` waits, in virtual time, if nothing else is said.
    public static let patience: Duration = .seconds(60)

    /// This side's address, as the server sees it.
    public var endpoint: Endpoint? { socket.local }
    /// Bytes that have come since the beginning.
    public var receivedByteCount: Int { socket.receivedCount }
    /// Bytes that this side's kernel has taken since the beginning.
    public var sentByteCount: Int { socket.sentCount }

    /// Whether the connection is over for this side: the other has ended or reset it, or this side has closed.
    public var hasEnded: Bool { socket.isOver || socket.cannotSend }

    // MARK: Sending

    /// Sends `bytes`; with the arrival `.asSent`, which is the default, they arrive as a read of their own. Suspends until
    /// this side's kernel has taken them, which is at once unless the other side does not read.
    public func send(_ bytes: Bytes) async throws {
        socket.send(bytes)
        let what = { "room for what the peer sends: \(self.socket.unsentByteCount) bytes are left" }
        try await settled(
            simulation.waits.wait(for: what, until: deadline(Self.patience)) { [socket] in
                socket.unsentByteCount == 0 || socket.cannotSend
            }, or: what)
    }

    /// Ends this side's writing, behind what was sent (a FIN).
    public func halfClose() { socket.halfClose() }
    /// Cuts the connection (a RST): what has not arrived is lost.
    public func reset() { socket.reset() }
    /// Closes this side's socket, as a process that ends does: with a reset if something is unread.
    public func close() { socket.close() }

    // MARK: Reading

    /// Stops reading once so many more bytes have come, at once if nothing is said: the other side's writes fill the buffers
    /// and then wait. A later call counts anew.
    public func stall(after byteCount: Int = 0) { socket.readLimit = byteCount }
    /// Reads again.
    public func resume() { socket.readLimit = nil }

    /// The next bytes are these. More may follow.
    public func expect(
        _ expected: Bytes, within time: Duration = MockPeer.patience,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let socket = socket
        // Looked at after every step, and so each byte once.
        var sameCount = 0
        var differs = false
        let outcome = await simulation.waits.wait(
            for: { "\(quoted(expected)); so far \(quoted(socket.received))" }, until: deadline(time)
        ) {
            let count = min(socket.received.count, expected.count)
            if count > sameCount {
                let new = Bytes(socket.received[sameCount..<count])
                differs = differs || new != expected.dropFirst(sameCount).prefix(new.count)
                sameCount = count
            }
            return sameCount == expected.count || differs || socket.isOver
        }
        if sameCount == expected.count, !differs {
            _ = socket.take(expected.count)
            return
        }
        if case .cancelled = outcome { throw CancellationError() }
        try fail(
            difference(expected: [UInt8](expected), got: socket.received) + "\n" + ending(outcome, time),
            at: sourceLocation)
    }

    /// Everything that comes until the other side ends, which it must do in order.
    public func receiveToEnd(
        within time: Duration = MockPeer.patience, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Bytes {
        let socket = socket
        let outcome = await simulation.waits.wait(for: { "the end" }, until: deadline(time)) { socket.isOver }
        guard socket.sawEnd else { try fail("no end came\n" + ending(outcome, time), at: sourceLocation) }
        return Bytes(socket.take(.max))
    }

    /// The other side ends its writing in order, and nothing comes before.
    public func expectEnd(
        within time: Duration = MockPeer.patience, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let socket = socket
        let outcome = await simulation.waits.wait(for: { "the end" }, until: deadline(time)) {
            socket.isOver || !socket.received.isEmpty
        }
        if case .cancelled = outcome { throw CancellationError() }
        if !socket.received.isEmpty {
            try fail("expected the end, but got \(quoted(socket.received))", at: sourceLocation)
        }
        if !socket.sawEnd { try fail("expected the end\n" + ending(outcome, time), at: sourceLocation) }
    }

    /// The other side resets the connection.
    public func expectReset(
        within time: Duration = MockPeer.patience, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let socket = socket
        let outcome = await simulation.waits.wait(for: { "a reset" }, until: deadline(time)) { socket.isOver }
        if case .cancelled = outcome { throw CancellationError() }
        guard socket.error == .connectionReset || socket.error == .brokenPipe else {
            try fail("expected a reset\n" + ending(outcome, time), at: sourceLocation)
        }
    }

    /// Nobody listens where this peer was to connect to.
    public func expectRefused(
        within time: Duration = MockPeer.patience, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let socket = socket
        let outcome = await simulation.waits.wait(for: { "a refusal" }, until: deadline(time)) {
            socket.isOver || !socket.received.isEmpty
        }
        if case .cancelled = outcome { throw CancellationError() }
        guard socket.error == .connectionRefused else {
            let what = socket.received.isEmpty ? ending(outcome, time) : "got " + quoted(socket.received)
            try fail("expected to be refused\n" + what, at: sourceLocation)
        }
    }

    /// For so long, in virtual time, nothing comes: no byte, no end, no reset.
    public func expectSilence(
        for time: Duration, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let socket = socket
        let outcome = await simulation.waits.wait(for: { "silence" }, until: deadline(time)) {
            socket.isOver || !socket.received.isEmpty
        }
        switch outcome {
        case .timedOut: return
        case .cancelled: throw CancellationError()
        case .ready:
            let what = socket.received.isEmpty ? ending(outcome, time) : quoted(socket.received)
            try fail("expected silence for \(time), but got \(what)", at: sourceLocation)
        case .failed(let failure): try fail(failure.description, at: sourceLocation)
        }
    }

    /// This side reads nothing and sends on and on; the other side's program must stop taking it before it has taken more than
    /// `byteCount` bytes, which says that what it holds is bounded. Its socket's buffer is not counted.
    /// - Parameter block: what is sent again and again, some kilobytes of it at a time.
    /// - Returns: how many it took.
    @discardableResult
    public func expectBackpressure(
        atMost byteCount: Int, sending block: Bytes = Bytes([UInt8](repeating: 120, count: 4_096)),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Int {
        precondition(!block.isEmpty, "nothing would be sent")
        stall()
        let blocks = Bytes(joining: Array(repeating: block, count: max(1, 4_096 / block.count)))
        while socket.unsentByteCount == 0, !socket.isOver {
            if let failure = simulation.failure { try fail(failure.description, at: sourceLocation) }
            socket.send(blocks)
            await settle()
            let taken = socket.takenByteCount
            if taken > byteCount {
                try fail(
                    "it goes on reading, though nobody reads what it writes: \(taken) bytes",
                    at: sourceLocation)
            }
        }
        if socket.isOver {
            try fail("expected back-pressure, but " + ending(.ready, .zero), at: sourceLocation)
        }
        return socket.takenByteCount
    }

    /// Waits until everybody has done what can be done without time passing.
    public func settle() async { await simulation.settle() }

    // MARK: Parts

    private func deadline(_ time: Duration) -> MonotonicTime { simulation.time.now.advanced(by: time) }

    private func settled(_ outcome: Waits.Outcome, or what: () -> String) throws {
        switch outcome {
        case .ready: return
        case .cancelled: throw CancellationError()
        case .timedOut: throw SimulationError("the time is over for \(what())")
        case .failed(let failure): throw SimulationError(failure.description)
        }
    }

    /// Why no more came.
    func ending(_ outcome: Waits.Outcome, _ time: Duration) -> String {
        if let error = socket.error { return "the connection failed: \(error)" }
        if socket.sawEnd { return "the other side ended" }
        if case .failed(let failure) = outcome { return failure.title + ": " + failure.description }
        if case .timedOut = outcome { return "nothing more came for \(time)" }
        return ""
    }

    func fail(_ text: String, at location: SourceLocation) throws -> Never {
        var text = text
        // Which of the runs of `.everySplit` it was, among others.
        if case .split(let position) = socket.arrival {
            text += "\n  what the peer sends is split at byte \(position)"
        }
        let failure = PeerMismatch(description: text)
        Issue.record(failure, sourceLocation: location)
        throw failure
    }
}

/// What a peer expected did not come. Recorded as an issue already where it is thrown.
public struct PeerMismatch: Error, CustomStringConvertible {
    public let description: String
}
