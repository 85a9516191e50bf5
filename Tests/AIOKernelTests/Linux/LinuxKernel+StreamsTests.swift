// Bytes over real sockets: whole, in parts, to the end, and to peers that are gone.

import AIOBytes
import Glibc
import SystemPackage
import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct StreamsTests {
        let kernel = LinuxKernel()

        private static func close(_ descriptor: consuming Descriptor) {}

        /// Both ways, one part and several, on whatever the endpoint means.
        private func exchange(_ pair: borrowing ConnectedPair) throws {
            let question = kernel.send(["hello"], to: pair.client)
            #expect(question.count == 5)
            #expect(try kernel.receive(5, from: pair.server) == Array("hello".utf8))
            let answer = kernel.send(["one ", "", "two ", "three"], to: pair.server)
            #expect(answer.count == 13)
            #expect(try kernel.receive(13, from: pair.client) == Array("one two three".utf8))
        }

        @Test func `bytes go both ways over IPv4`() throws {
            let pair = try kernel.pair(on: .ip(.loopbackV4, port: 0))
            let client = try kernel.localEndpoint(of: pair.client)
            #expect(pair.peer == client)
            try exchange(pair)
        }

        @Test func `bytes go both ways over IPv6`() throws {
            let pair = try kernel.pair(on: .ip(.loopbackV6, port: 0))
            #expect(pair.peer.address == .loopbackV6)
            try exchange(pair)
        }

        @Test func `bytes go both ways over a dual-stack socket`() throws {
            try exchange(try kernel.pair(on: .any(port: 0)))
        }

        @Test func `bytes go both ways over a Unix path`() throws {
            let directory = try TemporaryDirectory()
            let endpoint = Endpoint.unix("\(directory.path)/s")
            let pair = try kernel.pair(on: endpoint)
            #expect(pair.peer == .unnamed && pair.peer.description == "unix:")
            let seen = try kernel.peerEndpoint(of: pair.client)
            #expect(seen == endpoint)
            try exchange(pair)
        }

        @Test func `bytes go both ways over an abstract name`() throws {
            let endpoint = Endpoint.abstract("aio-kernel-tests-\(getpid())-\(kernel.random())")
            let pair = try kernel.pair(on: endpoint)
            #expect(try kernel.localEndpoint(of: pair.listener) == endpoint)
            try exchange(pair)
        }

        @Test func `receiving appends to what the span already has`() throws {
            let pair = try kernel.pair(on: .ip(.loopbackV4, port: 0))
            _ = kernel.send(["cd"], to: pair.client)
            _ = try kernel.waitFor(.readable, on: pair.server)
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
            defer { unsafe memory.deallocate() }
            unsafe memory.copyBytes(from: "ab".utf8)
            var span = unsafe OutputRawSpan(buffer: memory, initializedCount: 2)
            let result = kernel.receive(from: pair.server, into: &span)
            let total = unsafe span.finalize(for: memory)
            #expect(result.count == 2 && total == 4)
            #expect(unsafe memory[..<4].elementsEqual("abcd".utf8))
        }

        @Test func `receiving from an empty socket would block, and sending nothing sends nothing`() throws {
            let pair = try kernel.pair(on: .ip(.loopbackV4, port: 0))
            #expect(kernel.receiveOnce(from: pair.server).result.wouldBlock)
            let nothing = kernel.send([], to: pair.server)
            #expect(nothing == CallResult(rawValue: 0))
        }

        @Test func `sending more than the peer's buffers hold is cut short and then would block`() throws {
            let pair = try kernel.pair(on: .ip(.loopbackV4, port: 0))
            let part = Bytes([UInt8](repeating: 7, count: 1 << 20))
            var sent = 0
            var wasCut = false
            for _ in 0..<64 {
                let result = kernel.send([part, part], to: pair.client)
                if result.wouldBlock { break }
                sent += result.count
                wasCut = wasCut || result.count < 2 << 20
            }
            #expect(wasCut)
            let final = kernel.send([part], to: pair.client)
            #expect(final.wouldBlock)
            #expect(try kernel.receive(sent, from: pair.server).count == sent)
        }

        @Test func `a half-closed connection still answers`() throws {
            let pair = try kernel.pair(on: .ip(.loopbackV4, port: 0))
            _ = kernel.send(["question"], to: pair.client)
            let finished = kernel.finishWriting(pair.client)
            #expect(finished.isSuccess)
            #expect(try kernel.receive(8, from: pair.server) == Array("question".utf8))
            let readiness = try kernel.waitFor([.readable, .peerHangUp], on: pair.server)
            #expect(readiness.contains(.peerHangUp))
            #expect(kernel.receiveOnce(from: pair.server).result == CallResult(rawValue: 0))
            _ = kernel.send(["answer"], to: pair.server)
            #expect(try kernel.receive(6, from: pair.client) == Array("answer".utf8))
        }

        @Test func `a reset is an error for reading and writing and never a signal`() throws {
            let pair = try kernel.pair(on: .ip(.loopbackV4, port: 0))
            kernel.resetOnClose(pair.client)
            Self.close(pair.client)
            let readiness = try kernel.waitFor([.readable, .peerHangUp], on: pair.server)
            #expect(!readiness.isDisjoint(with: .ending))
            #expect(kernel.receiveOnce(from: pair.server).result.errno == .connectionReset)
            for parts in [["one"], ["one", "two"]] as [[Bytes]] {
                let result = kernel.send(parts, to: pair.server)
                #expect(result.errno == .brokenPipe)
            }
            // Signals are blocked on this thread: one that was raised would be pending.
            var pending = sigset_t()
            unsafe sigpending(&pending)
            #expect(unsafe sigismember(&pending, SIGPIPE) == 0)
        }

        @Test func `the pending error of a socket is taken once`() throws {
            let pair = try kernel.pair(on: .ip(.loopbackV4, port: 0))
            kernel.resetOnClose(pair.client)
            Self.close(pair.client)
            _ = try kernel.waitFor(.peerHangUp, on: pair.server)
            #expect(kernel.takeError(of: pair.server) == .connectionReset)
            #expect(kernel.takeError(of: pair.server) == nil)
        }

        @Test func `an empty queue would block`() throws {
            let listener = try kernel.listener(on: .ip(.loopbackV4, port: 0))
            guard case .wouldBlock = kernel.accept(from: listener) else {
                Issue.record("expected an empty queue")
                return
            }
        }

        @Test func `accepting from what does not listen fails`() throws {
            let socket = try kernel.makeStreamSocket(for: .ip(.loopbackV4, port: 0))
            guard case .failed(.invalidArgument) = kernel.accept(from: socket) else {
                Issue.record("expected EINVAL")
                return
            }
        }

        @Test func `a full descriptor table is told apart, and the connection waits in the queue`() throws {
            let listener = try kernel.listener(on: .ip(.loopbackV4, port: 0))
            let client = try kernel.client(of: kernel.localEndpoint(of: listener))
            _ = try kernel.waitFor(.readable, on: listener)
            // The table is this thread's own: filling it disturbs no one.
            var fillers: [SharedDescriptor] = []
            do { while true { fillers.append(SharedDescriptor(try kernel.openPlaceholder())) } } catch {
                #expect(error.code == .descriptorLimit)
            }
            if case .exhausted(let errno) = kernel.accept(from: listener) {
                #expect(errno == .tooManyOpenFiles)
            } else {
                Issue.record("expected EMFILE")
            }
            _ = fillers.popLast()
            guard case .accepted(let server, _) = kernel.accept(from: listener) else {
                Issue.record("expected the connection")
                return
            }
            #expect(server.number != client.number)
        }
    }
}
