// epoll and eventfd as the worker uses them.

import SystemPackage
import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct ReadinessTests {
        let kernel = LinuxKernel()
        let batch = ReadinessBatch(capacity: 8)

        @Test func `each signal of a counter is an edge of its own, without reading it`() throws {
            let epoll = try kernel.makeEpoll()
            let counter = try kernel.makeEventCounter()
            try kernel.add(counter, to: epoll, interest: [.readable, .edgeTriggered], token: .max)
            #expect(kernel.wait(on: epoll, into: batch, timeout: .zero).count == 0)
            for _ in 0..<100 {
                kernel.signal(counter)
                #expect(kernel.wait(on: epoll, into: batch, timeout: .seconds(5)).count == 1)
                #expect(batch.token(at: 0) == .max && batch.readiness(at: 0) == .readable)
                #expect(kernel.wait(on: epoll, into: batch, timeout: .zero).count == 0)
            }
        }

        @Test func `several signals before one wait are one edge`() throws {
            let epoll = try kernel.makeEpoll()
            let counter = try kernel.makeEventCounter()
            try kernel.add(counter, to: epoll, interest: [.readable, .edgeTriggered], token: 1)
            for _ in 0..<5 { kernel.signal(counter) }
            #expect(kernel.wait(on: epoll, into: batch, timeout: nil).count == 1)
            #expect(kernel.wait(on: epoll, into: batch, timeout: .zero).count == 0)
        }

        @Test func `a wait reports as many as the batch holds, and the rest next time`() throws {
            let epoll = try kernel.makeEpoll()
            var counters: [SharedDescriptor] = []
            for token in UInt64(0)..<12 {
                let counter = try kernel.makeEventCounter()
                try kernel.add(counter, to: epoll, interest: [.readable, .edgeTriggered], token: token)
                kernel.signal(counter)
                counters.append(SharedDescriptor(counter))
            }
            var tokens: Set<UInt64> = []
            for expected in [8, 4, 0] {
                #expect(kernel.wait(on: epoll, into: batch, timeout: .zero).count == expected)
                for index in 0..<batch.count { tokens.insert(batch.token(at: index)) }
            }
            #expect(tokens == Set(0..<12))
            withExtendedLifetime(counters) {}
        }

        @Test func `a batch larger than one call's own limit is filled in several`() throws {
            let large = ReadinessBatch(capacity: 600)
            let epoll = try kernel.makeEpoll()
            let counter = try kernel.makeEventCounter()
            try kernel.add(counter, to: epoll, interest: .readable, token: 1)
            kernel.signal(counter)
            #expect(kernel.wait(on: epoll, into: large, timeout: .zero).count == 1)
        }

        @Test func `a wait ends at its timeout and not before`() throws {
            let epoll = try kernel.makeEpoll()
            for timeout in [Duration.nanoseconds(1), .microseconds(1_500), .milliseconds(3), .seconds(-1)] {
                let start = kernel.now
                #expect(kernel.wait(on: epoll, into: batch, timeout: timeout).count == 0)
                #expect(Int64(kernel.now.nanoseconds(since: start)) >= timeout.wholeNanoseconds)
            }
        }

        @Test func `modified and removed interests take effect`() throws {
            let epoll = try kernel.makeEpoll()
            let counter = try kernel.makeEventCounter()
            try kernel.add(counter, to: epoll, interest: .readable, token: 1)
            kernel.signal(counter)
            try kernel.modify(counter, in: epoll, interest: .writable, token: 2)
            #expect(kernel.wait(on: epoll, into: batch, timeout: .zero).count == 1)
            #expect(batch.token(at: 0) == 2 && batch.readiness(at: 0) == .writable)
            kernel.remove(counter, from: epoll)
            kernel.remove(counter, from: epoll)
            #expect(kernel.wait(on: epoll, into: batch, timeout: .zero).count == 0)
        }

        @Test func `adding twice is an error that names the call`() throws {
            let epoll = try kernel.makeEpoll()
            let counter = try kernel.makeEventCounter()
            try kernel.add(counter, to: epoll, interest: .readable, token: 1)
            var caught: AIOError?
            do { try kernel.add(counter, to: epoll, interest: .readable, token: 1) } catch { caught = error }
            #expect(caught?.errno == .fileExists && caught?.call == "epoll_ctl")
        }

        @Test func `waiting on what is no epoll descriptor is an error`() throws {
            let counter = try kernel.makeEventCounter()
            #expect(kernel.wait(on: counter, into: batch, timeout: .zero).errno == .invalidArgument)
        }
    }
}
