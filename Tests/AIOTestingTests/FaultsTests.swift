// Faults on demand: each comes out of the kernel as Linux would have it, and the engine goes on.

import AIO
import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

private func echo(_ connection: Connection) async throws {
    for try await bytes in connection.chunks { try await connection.write(bytes) }
}

extension MockPeer {
    /// The machine on which what is tested runs.
    fileprivate var server: SimulatedKernel { simulation.hosts[0].kernel }
    /// Where it listens.
    fileprivate var target: Endpoint { .ip(server.address, port: 4_000) }
}

@Suite struct FaultsTests {
    // MARK: Accepting

    @Test(.simulated(seeds: 0..<20))
    func `without descriptors accepting pauses, and goes on when there are some`() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await withMockPeer(serving: echo) { peer in
                await peer.settle()
                // Two looks, each with one more for the descriptor that is kept in reserve.
                let rule = peer.server.faults.add(.accept, .fail(.tooManyOpenFiles), times: 4)
                let start = peer.simulation.time.now
                let second = try await peer.simulation.host("another").connect(to: peer.target)
                try await second.send("hello")
                try await second.expect("hello")
                #expect(rule.useCount == 4)
                #expect(peer.simulation.time.now.nanoseconds(since: start) >= 100_000_000)
                second.close()
            }
        }
        #expect(error?.description.contains("no descriptors for new connections") == true)
    }

    @Test(.simulated(seeds: 0..<20), arguments: [Errno.connectionAbort, .notPermitted])
    func `a connection that is gone before it is accepted is passed over`(errno: Errno) async throws {
        try await withMockPeer(serving: echo) { peer in
            await peer.settle()
            let rule = peer.server.faults.add(.accept, .fail(errno), times: 1)
            let second = try await peer.simulation.host("another").connect(to: peer.target)
            try await second.expectReset()
            #expect(rule.useCount == 1)
            let third = try await peer.simulation.host("another").connect(to: peer.target)
            try await third.send("hello")
            try await third.expect("hello")
            third.close()
        }
    }

    @Test func `accepting fails as Linux has it fail`() throws {
        let queue = try AcceptQueue()
        let exhausting: [Errno] = [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory]
        for errno in exhausting {
            #expect(queue.accept(failing: errno) == "exhausted \(errno.rawValue)")
        }
        #expect(queue.accept(failing: .badFileDescriptor) == "failed \(Errno.badFileDescriptor.rawValue)")
        #expect(queue.accept(failing: .resourceTemporarilyUnavailable) == "would block")
        #expect(queue.waitingCount == 2, "so far nothing was taken from the queue")
        #expect(queue.accept(failing: .connectionAbort) == "skipped \(Errno.connectionAbort.rawValue)")
        #expect(queue.waitingCount == 1)
        #expect(queue.accept(failing: .interrupted) == "accepted", "the call is made again")
        #expect(
            queue.accept(failing: .tooManyOpenFiles) == "would block", "nobody is asked for an empty queue")
    }

    // MARK: Reading and writing

    @Test(.simulated(seeds: 0..<20))
    func `what a signal interrupts is called again`() async throws {
        try await withMockPeer(serving: echo) { peer in
            let rule = peer.server.faults.add(times: 6) { call in
                call.name == .receive || call.name == .send ? .fail(.interrupted) : nil
            }
            try await peer.send("hello")
            try await peer.expect("hello")
            #expect(rule.useCount == 6)
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `a write or a read that is told to wait goes on at the edge`() async throws {
        try await withMockPeer(serving: echo) { peer in
            for name in [SimulatedCall.Name.send, .receive] {
                let rule = peer.server.faults.add(name, .fail(.resourceTemporarilyUnavailable), times: 3)
                try await peer.send("hello")
                try await peer.expect("hello", within: .milliseconds(10))
                #expect(rule.useCount == 3)
            }
        }
    }

    @Test(.simulated(seeds: 0..<20))
    func `calls that are cut short carry everything in the end`() async throws {
        // It answers once everything is there, so no edge for writing helps the reading along.
        try await withMockPeer(serving: { connection in
            try await connection.write(connection.read(exactly: 10) ?? Bytes())
        }) { peer in
            let rules = [
                peer.server.faults.add(.receive, .shorten(to: 3)),
                peer.server.faults.add { call in
                    call.name == .send && call.byteCount ?? 0 > 2 ? .shorten(to: 2) : nil
                },
            ]
            try await peer.send("0123456789")
            try await peer.expect("0123456789", within: .milliseconds(20))
            #expect(rules[0].useCount >= 4 && rules[1].useCount >= 1)
        }
    }

    @Test func `the engine does not see that a call was interrupted`() throws {
        let pair = try SocketPair()
        let rule = pair.kernel.faults.add(times: 4) { call in
            call.name == .receive || call.name == .send ? .fail(.interrupted) : nil
        }
        #expect(pair.clientSends(1).isSuccess && rule.useCount == 4)
        let endless = pair.kernel.faults.add(.send, .fail(.interrupted))
        #expect(pair.clientSends(1).isSuccess && endless.useCount == 100)
        #expect(pair.trace.violations.count == 1, "a rule that never lets the call go on")
    }

    @Test(.simulated()) func `a connection whose socket fails is closed, and others are not`() async throws {
        try await withMockPeer(serving: { try? await echo($0) }) { peer in
            let second = try await peer.simulation.host("another").connect(to: peer.target)
            let victim = second.endpoint
            let rule = peer.server.faults.add { call in
                call.name == .receive && call.peer == victim ? .fail(.noBufferSpace) : nil
            }
            try await peer.send("hello")
            try await peer.expect("hello")
            #expect(rule.useCount == 0)
            try await second.send("hello")
            try await second.expectReset()
            #expect(rule.useCount == 1)
        }
    }

    // MARK: Rules

    @Test func `a rule ends when it is used up, ended or released; the first with an answer gives it`() {
        let faults = Faults()
        let call = SimulatedCall(.receive, byteCount: 10)
        var first: FaultRule? = faults.add(times: 2) { $0.byteCount == 10 ? .fail(.noMemory) : nil }
        let second = faults.add(.receive, .shorten(to: 1))
        #expect(faults.answer(to: SimulatedCall(.send)) == nil)
        #expect(faults.answer(to: call) == .fail(.noMemory))
        #expect(faults.answer(to: SimulatedCall(.receive)) == .shorten(to: 1))
        #expect(faults.answer(to: call) == .fail(.noMemory))
        #expect(faults.answer(to: call) == .shorten(to: 1), "the first is used up")
        second.end()
        #expect(faults.isEmpty && first?.useCount == 2 && second.useCount == 2)
        first = faults.add(.receive, .fail(.ioError))
        #expect(!faults.isEmpty)
        first = nil
        #expect(faults.isEmpty)
    }

    @Test func `calls that set something up throw what a rule says, with the call's name`() throws {
        let trace = SimulationTrace()
        let kernel = SimulatedKernel(options: SimulatedKernelOptions(), seed: 1, trace: trace)
        let endpoint = Endpoint.ip(.loopbackV4, port: 7)
        let socket = try kernel.makeStreamSocket(for: endpoint)
        let set = try kernel.makeEpoll()
        let rule = kernel.faults.add { _ in .fail(.addressInUse) }
        let bound = #expect(throws: AIOError.self) { try kernel.bind(socket, to: endpoint) }
        #expect(bound == AIOError(errno: .addressInUse, call: "bind", detail: "127.0.0.1:7"))
        let added = #expect(throws: AIOError.self) {
            try kernel.add(socket, to: set, interest: .input, token: 1)
        }
        #expect(added?.call == "epoll_ctl" && added?.errno == .addressInUse)
        #expect(throws: AIOError.self) { _ = try kernel.makeEventCounter() }
        #expect(throws: AIOError.self) { _ = try kernel.makeStreamSocket(for: endpoint) }
        #expect(throws: AIOError.self) { try kernel.listen(socket, backlog: 1) }
        #expect(throws: AIOError.self) { _ = try kernel.resolve(host: "localhost", port: 1) }
        #expect(kernel.connect(socket, to: endpoint).errno == .addressInUse)
        #expect(rule.useCount == 7 && trace.violations.isEmpty)
    }
}

/// A listener with two connections in its queue.
private final class AcceptQueue {
    private let kernel: SimulatedKernel
    private var listener: Descriptor?
    private let listening: SimulatedStream?
    private var clients: [SimulatedStream] = []

    init() throws {
        kernel = SimulatedKernel(options: .exact, seed: 1, trace: SimulationTrace())
        let endpoint = Endpoint.ip(.loopbackV4, port: 7)
        let socket = try kernel.makeStreamSocket(for: endpoint)
        try kernel.bind(socket, to: endpoint)
        try kernel.listen(socket, backlog: 2)
        listening = kernel.file(socket.number, as: SimulatedStream.self, for: "test")
        listener = consume socket
        for _ in 0..<2 {
            let stream = SimulatedStream(sendMax: 10, receiveMax: 10)
            kernel.network.begin(stream, to: endpoint, from: kernel)
            clients.append(stream)
        }
        while kernel.network.hasWork { kernel.network.deliver() }
    }

    var waitingCount: Int { listening?.waiting.count ?? 0 }

    /// What one accept says when a rule has it fail once.
    func accept(failing errno: Errno) -> String {
        let rule = kernel.faults.add(.accept, .fail(errno), times: 1)
        defer { rule.end() }
        switch kernel.accept(from: listener!) {
        case .accepted: return "accepted"
        case .wouldBlock: return "would block"
        case .skipped(let errno): return "skipped \(errno.rawValue)"
        case .exhausted(let errno): return "exhausted \(errno.rawValue)"
        case .failed(let errno): return "failed \(errno.rawValue)"
        }
    }
}
