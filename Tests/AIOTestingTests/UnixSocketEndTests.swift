// How a Unix stream socket ends, asked of the simulated kernel and of Linux: the same calls and the same
// answers.

import AIOBytes
import AIOKernel
import Glibc
import SystemPackage
import Testing

@testable import AIOTesting

@Suite struct UnixSocketEndTests {
    enum Ground: CaseIterable, Sendable { case simulated, linux }

    @Test(arguments: Ground.allCases)
    func `what was sent before a close is read, and then the end, whatever SO_LINGER says`(
        _ ground: Ground
    ) throws {
        let ends = try UnixEnds(ground)
        #expect(ends.clientSends(10).count == 10)
        ends.clientResets()
        #expect(ends.serverReads() == [.bytes(10), .end, .end])
        #expect(ends.serverSends(1).errno == .brokenPipe)
    }

    @Test(arguments: Ground.allCases)
    func `bytes that the closing end has not read make an error behind what it has sent`(
        _ ground: Ground
    ) throws {
        let ends = try UnixEnds(ground)
        #expect(ends.clientSends(10).count == 10)
        #expect(ends.serverSends(5).count == 5)
        ends.clientCloses()
        // A write does not take the error away.
        #expect(ends.serverSends(1).errno == .brokenPipe)
        #expect(ends.serverReads() == [.bytes(10), .failed(.connectionReset), .end])
    }

    @Test(arguments: Ground.allCases)
    func `an end that knew the other's end gets the error, too`(_ ground: Ground) throws {
        let ends = try UnixEnds(ground)
        ends.clientFinishes()
        #expect(ends.serverReads() == [.end, .end, .end])
        #expect(ends.serverSends(5).count == 5)
        ends.clientCloses()
        #expect(ends.serverReads() == [.failed(.connectionReset), .end, .end])
    }

    @Test(arguments: Ground.allCases)
    func `who was not accepted by a listener that closes gets an error`(_ ground: Ground) throws {
        let ends = try UnixEnds(ground, accepts: false)
        #expect(ends.clientSends(5).count == 5)
        ends.closeListener()
        #expect(ends.clientSends(1).errno == .brokenPipe)
        #expect(ends.clientReads() == [.failed(.connectionReset), .end, .end])
    }
}

/// What a read finds.
private enum Found: Equatable {
    case bytes(Int), end, failed(Errno)
}

/// A connection over a socket's file, on either kernel.
private final class UnixEnds {
    private let kernel: any Kernel
    private let simulated: SimulatedKernel?
    private var listener: Descriptor?
    private var client: Descriptor?
    private var server: Descriptor?
    private let slabs = SlabPool(slabByteCount: 4_096)

    init(_ ground: UnixSocketEndTests.Ground, accepts: Bool = true) throws {
        simulated =
            ground == .linux ? nil : SimulatedKernel(options: .exact, seed: 1, trace: SimulationTrace())
        kernel = simulated ?? LinuxKernel()
        let path = "/tmp/aio-unix-ends-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let endpoint = Endpoint.unix(path)
        listener = try kernel.makeStreamSocket(for: endpoint)
        try kernel.bind(listener!, to: endpoint)
        defer { kernel.removeSocketFile(at: path) }
        try kernel.listen(listener!, backlog: 1)
        client = try kernel.makeStreamSocket(for: endpoint)
        #expect(kernel.connect(client!, to: endpoint).isSuccess)
        guard accepts else { return }
        guard case .accepted(let accepted, _) = kernel.accept(from: listener!) else {
            throw AIOError(.other, detail: "nothing to accept")
        }
        server = consume accepted
    }

    /// The simulated network carries everything that can move; Linux does so in the call.
    private func settle() {
        guard let network = simulated?.network else { return }
        while network.hasWork { network.deliver() }
    }

    func clientSends(_ byteCount: Int) -> CallResult { send(byteCount, to: client!) }
    func serverSends(_ byteCount: Int) -> CallResult { send(byteCount, to: server!) }
    func serverReads() -> [Found] { (0..<3).map { _ in read(from: server!) } }
    func clientReads() -> [Found] { (0..<3).map { _ in read(from: client!) } }
    func closeListener() { listener = nil }
    func clientCloses() { client = nil }

    func clientFinishes() {
        _ = kernel.finishWriting(client!)
        settle()
    }

    func clientResets() {
        kernel.resetOnClose(client!)
        client = nil
    }

    private func send(_ byteCount: Int, to socket: borrowing Descriptor) -> CallResult {
        defer { settle() }
        return kernel.send(Bytes([UInt8](repeating: 120, count: byteCount)), to: socket)
    }

    private func read(from socket: borrowing Descriptor) -> Found {
        settle()
        let (filled, _) = slabs.receive(atMost: 100, expecting: 100) { span in
            kernel.receive(from: socket, into: &span).rawValue
        }
        if filled == 0 { return .end }
        return filled > 0 ? .bytes(filled) : .failed(CallResult(rawValue: filled).errno ?? .invalidArgument)
    }
}
