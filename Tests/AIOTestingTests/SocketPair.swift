// Two ends of a simulated connection for tests of the simulated kernel: each with an epoll set of its own.

import AIOBytes
import AIOKernel
@testable import AIOTesting
import SystemPackage
import Testing

final class SocketPair {
    let trace = SimulationTrace()
    let kernel: SimulatedKernel
    private(set) var listener: Descriptor?
    private var client: Descriptor?
    private var server: Descriptor?
    private var clientSet: Descriptor?
    private var serverSet: Descriptor?
    private let slabs = SlabPool(slabByteCount: 4_096)
    private let readiness = ReadinessBatch(capacity: 4)

    /// A connection with buffers of 12 bytes, accepted, and both ends watched for everything, edge-triggered.
    init() throws {
        let options = SimulatedKernelOptions(sendBufferByteCount: 12, receiveBufferByteCount: 12)
        kernel = SimulatedKernel(options: options, seed: 1, trace: trace)
        let endpoint = Endpoint.ip(.loopbackV4, port: 7)
        listener = try kernel.makeStreamSocket(for: endpoint)
        try kernel.bind(listener!, to: endpoint)
        try kernel.listen(listener!, backlog: 1)
        client = try kernel.makeStreamSocket(for: endpoint)
        #expect(kernel.connect(client!, to: endpoint).errno == .nowInProgress)
        clientSet = try watch(client!)
        #expect(reported(clientSet!) == [], "a socket that is connecting is ready for nothing")
        settle()
        guard case .accepted(let accepted, _) = kernel.accept(from: listener!) else {
            throw AIOError(.other, detail: "nothing to accept")
        }
        server = consume accepted
        serverSet = try watch(server!)
    }

    private func watch(_ socket: borrowing Descriptor) throws -> Descriptor {
        let set = try kernel.makeEpoll()
        let interest: Interest = [.readable, .writable, .peerHangUp, .edgeTriggered]
        try kernel.add(socket, to: set, interest: interest, token: 9)
        return set
    }

    /// Carries everything that can move.
    func settle() { while kernel.network.hasWork { kernel.network.deliver() } }

    private func reported(_ set: borrowing Descriptor) -> Readiness {
        let found = kernel.wait(on: set, into: readiness, timeout: .zero)
        return found.count > 0 ? readiness.readiness(at: 0) : []
    }

    // MARK: What the tests ask of each end

    /// What one wait reports of the server's end.
    var serverReport: Readiness { reported(serverSet!) }
    var clientReport: Readiness { reported(clientSet!) }

    func clientSends(_ byteCount: Int) -> CallResult { send(byteCount, to: client!) }
    func serverSends(_ byteCount: Int) -> CallResult { send(byteCount, to: server!) }
    func serverReads(_ byteCountMax: Int) -> CallResult { read(byteCountMax, from: server!) }
    func clientReads(_ byteCountMax: Int) -> CallResult { read(byteCountMax, from: client!) }
    func clientFinishes() { _ = kernel.finishWriting(client!) }
    func clientCloses() { client = nil }
    func serverCloses() { server = nil }
    func closeListener() { listener = nil }
    func clientResets() {
        kernel.resetOnClose(client!)
        client = nil
    }
    func rearmServer() throws {
        try kernel.modify(server!, in: serverSet!, interest: [.readable, .edgeTriggered], token: 9)
    }

    private func send(_ byteCount: Int, to socket: borrowing Descriptor) -> CallResult {
        let batch = WriteBatch()
        batch.append(Bytes([UInt8](repeating: 120, count: byteCount)))
        return kernel.send(batch, to: socket)
    }

    private func read(_ byteCountMax: Int, from socket: borrowing Descriptor) -> CallResult {
        let (filled, _) = slabs.receive(atMost: byteCountMax, expecting: byteCountMax) { span in
            kernel.receive(from: socket, into: &span).rawValue
        }
        return CallResult(rawValue: filled)
    }
}
