// The simulated kernel by itself. What it promises about edges, ends and numbers must be what Linux does, or
// the engine is tested against a fairy tale.

import AIOKernel
@testable import AIOTesting
import SystemPackage
import Testing

@Suite("Simulated kernel") struct SimulatedKernelTests {
    @Test("adding a socket reports what is possible now, once")
    func addingReportsOnce() throws {
        let pair = try SocketPair()
        #expect(pair.serverReport == .writable)
        #expect(pair.serverReport == [])
        #expect(pair.clientReport == .writable)
    }

    @Test("each arrival is an edge, reported once, whether or not anybody reads")
    func arrivalsAreEdges() throws {
        let pair = try SocketPair()
        _ = pair.serverReport
        _ = pair.clientSends(1)
        #expect(pair.serverReport == [], "nothing has arrived yet")
        pair.settle()
        #expect(pair.serverReport == [.readable, .writable])
        #expect(pair.serverReport == [])
        _ = pair.clientSends(1)
        pair.settle()
        #expect(pair.serverReport.contains(.readable))
        #expect(pair.serverReads(1).count == 1)
        #expect(pair.serverReport == [], "what is left over is no new edge")
    }

    @Test("modifying a registration reports again what is possible")
    func modifyingReportsAgain() throws {
        let pair = try SocketPair()
        _ = pair.clientSends(3)
        pair.settle()
        _ = pair.serverReport
        try pair.rearmServer()
        #expect(pair.serverReport == .readable)
    }

    @Test("an edge whose cause has gone by the time of the wait is not reported")
    func goneEdgesAreNotReported() throws {
        let pair = try SocketPair()
        try pair.rearmServer()
        _ = pair.serverReport
        _ = pair.clientSends(3)
        pair.settle()
        while pair.serverReads(10).count > 0 {}
        #expect(pair.serverReport == [])
    }

    @Test("a read brings all that has arrived, as far as it fits, and then EAGAIN")
    func readsBringAll() throws {
        let pair = try SocketPair()
        var sent = 0
        while sent < 9 { sent += pair.clientSends(9 - sent).count }
        pair.settle()
        #expect(pair.serverReads(4).count == 4)
        #expect(pair.serverReads(100).count == 5)
        #expect(pair.serverReads(100).wouldBlock)
    }

    @Test("a full socket takes nothing, and is writable again, with one edge, when a third of it is free")
    func fullSocketsWait() throws {
        let pair = try SocketPair()
        _ = pair.clientReport
        var sent = 0
        while true {
            let result = pair.clientSends(5)
            if result.wouldBlock { break }
            sent += result.count
            pair.settle()
            _ = pair.clientReport
        }
        #expect(sent == 24, "both buffers are full")
        #expect(pair.serverReads(3).count == 3)
        pair.settle()
        #expect(pair.clientReport == [], "three free bytes are less than a third")
        #expect(pair.serverReads(1).count == 1)
        pair.settle()
        #expect(pair.clientReport == .writable)
        #expect(pair.clientReport == [])
    }

    @Test("there is no writable edge for a socket that was never full")
    func noEdgeWithoutNeed() throws {
        let pair = try SocketPair()
        _ = pair.clientReport
        while pair.clientSends(1).count == 0 {}
        pair.settle()
        _ = pair.serverReads(10)
        pair.settle()
        #expect(pair.clientReport == [])
    }

    @Test("a half-close arrives behind the bytes, and the other direction stays open")
    func halfClose() throws {
        let pair = try SocketPair()
        _ = pair.serverReport
        while pair.clientSends(1).count == 0 {}
        pair.clientFinishes()
        #expect(pair.clientSends(1).errno == .brokenPipe)
        pair.settle()
        #expect(pair.serverReport == [.readable, .writable, .peerHangUp])
        #expect(pair.serverReads(10).count == 1)
        #expect(pair.serverReads(10) == CallResult(rawValue: 0))
        #expect(pair.serverSends(1).isSuccess)
        pair.settle()
        #expect(pair.clientReads(10).count == 1)
    }

    @Test("a reset is reported as an error, after what had arrived, once")
    func reset() throws {
        let pair = try SocketPair()
        _ = pair.serverReport
        while pair.clientSends(1).count == 0 {}
        pair.settle()
        pair.clientResets()
        pair.settle()
        #expect(pair.serverReport.isSuperset(of: [.readable, .writable, .error, .hangUp, .peerHangUp]))
        #expect(pair.serverReads(10).count == 1)
        #expect(pair.serverReads(10).errno == .connectionReset)
        #expect(pair.serverReads(10) == CallResult(rawValue: 0))
        #expect(pair.serverSends(1).errno == .brokenPipe)
    }

    @Test("closing with unread input resets, and what was sent but had not arrived is lost")
    func closingUnread() throws {
        let pair = try SocketPair()
        while pair.clientSends(1).count == 0 {}
        pair.settle()
        _ = pair.serverSends(5)
        pair.serverCloses()
        pair.settle()
        #expect(pair.clientReads(10).errno == .connectionReset)
    }

    @Test(
        "closing with all input read delivers what was sent, then the end; bytes sent to it later are reset")
    func closingRead() throws {
        let pair = try SocketPair()
        while pair.serverSends(1).count == 0 {}
        pair.serverCloses()
        pair.settle()
        #expect(pair.clientReads(10).count == 1)
        #expect(pair.clientReads(10) == CallResult(rawValue: 0))
        #expect(pair.clientSends(3).isSuccess)
        pair.settle()
        #expect(pair.clientReads(10).errno == .brokenPipe, "the end was known: CLOSE_WAIT")
    }

    @Test("connecting where nobody listens is refused; a full queue keeps it waiting")
    func refusedAndQueued() throws {
        let pair = try SocketPair()
        let kernel = pair.kernel
        let endpoint = Endpoint.ip(.loopbackV4, port: 7)
        let first = try kernel.makeStreamSocket(for: endpoint)
        let second = try kernel.makeStreamSocket(for: endpoint)
        _ = kernel.connect(first, to: endpoint)
        _ = kernel.connect(second, to: endpoint)
        pair.settle()
        #expect(kernel.network.handshakes.count == 1, "the queue has room for one")
        pair.closeListener()
        pair.settle()
        #expect(kernel.network.handshakes.isEmpty)
        // Whichever was queued was reset by the listener's close, the other one was refused.
        let errors = [kernel.takeError(of: first), kernel.takeError(of: second)].compactMap { $0 }
        #expect(errors.contains(.connectionRefused) && errors.contains(.connectionReset))
    }

    @Test("a double close and a call on a closed number are violations; open numbers are listed")
    func violations() throws {
        let trace = SimulationTrace()
        let kernel = SimulatedKernel(options: SimulatedKernelOptions(), seed: 1, trace: trace)
        let number = try kernel.makeEventCounter().number
        #expect(trace.violations.isEmpty)
        kernel.close(number)
        #expect(trace.violations == ["test: close of 3, which is not an open SimulatedFile"])
        let counter = try kernel.makeEventCounter()
        #expect(counter.number == number, "the lowest free number")
        #expect(kernel.openDescriptors == ["3 (EventCounter)"])
    }

    @Test("an event counter that nobody reads reports each signal, and two before a wait as one")
    func eventCounters() throws {
        let trace = SimulationTrace()
        let kernel = SimulatedKernel(options: SimulatedKernelOptions(), seed: 1, trace: trace)
        let set = try kernel.makeEpoll()
        let counter = try kernel.makeEventCounter()
        let batch = ReadinessBatch(capacity: 4)
        try kernel.add(counter, to: set, interest: [.readable, .edgeTriggered], token: 1)
        for signals in [0, 1, 2] {
            for _ in 0..<signals { kernel.signal(counter) }
            #expect(kernel.wait(on: set, into: batch, timeout: .zero).count == min(signals, 1))
            #expect(kernel.wait(on: set, into: batch, timeout: .zero).count == 0)
        }
        #expect(trace.violations.isEmpty)
        _ = kernel.wait(on: set, into: batch, timeout: nil)
        #expect(trace.violations.count == 1, "a wait that would block")
    }
}
