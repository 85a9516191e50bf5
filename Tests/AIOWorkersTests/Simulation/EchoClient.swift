// A peer of the simulated server: a script over raw sockets of the simulated kernel, with an epoll set of its
// own.

import AIOBytes
import AIOKernel
@testable import AIOTesting
import SystemPackage

/// Connects, sends a pattern in random chunks, ends its side, and reads until the server ends; compares what
/// comes.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
final class EchoClient: ThreadBody, @unchecked Sendable {
    enum Manner: Equatable {
        case polite
        /// Resets the connection after so many bytes.
        case resets(after: Int)
        /// Closes without reading on after so many bytes.
        case leaves(after: Int)
        /// Sends all and then neither ends nor reads on: waits to be closed.
        case lingers
    }

    let index: Int
    let byteCount: Int
    let manner: Manner
    private(set) var sentCount = 0
    private(set) var receivedCount = 0
    private(set) var shortWrites = 0
    private(set) var sawEnd = false
    private(set) var isFinished = false
    /// What the socket failed with, if it did.
    private(set) var error: Errno?
    /// Where the first read began that brought something else than was sent.
    private(set) var firstWrongPosition: Int?

    /// What it sends: neighbouring bytes differ, and so do clients.
    private let pattern: [UInt8]
    private let kernel: SimulatedKernel
    private let target: Endpoint
    private var random: SeededRandom
    private var stage = Stage.start
    private var socket: Descriptor?
    private var epoll: Descriptor?
    private var epollNumber: Int32 = -1
    private let readiness = ReadinessBatch(capacity: 4)
    private let slabs = SlabPool(slabByteCount: 4_096, idleSlabsMax: 1)
    private let batch = WriteBatch()
    private var isConnected = false
    private var canRead = false
    private var canWrite = false
    private var hasEnded = false

    private enum Stage { case start, look, act, done }

    init(
        index: Int, kernel: SimulatedKernel, target: Endpoint, byteCount: Int, manner: Manner,
        random: SeededRandom
    ) {
        self.index = index
        self.kernel = kernel
        self.target = target
        self.byteCount = byteCount
        self.manner = manner
        self.random = random
        var pattern: [UInt8] = []
        pattern.reserveCapacity(byteCount)
        while pattern.count < byteCount {
            let position = pattern.count
            pattern.append(UInt8(truncatingIfNeeded: position &* 31 &+ position >> 8 &+ index &* 101))
        }
        self.pattern = pattern
    }

    // MARK: Steps

    func step() -> ThreadStep {
        switch stage {
        case .start: return start()
        case .look: look()
        case .act: return act()
        case .done: return finish()
        }
        return .proceed
    }

    private func start() -> ThreadStep {
        do throws(AIOError) {
            let epoll = try kernel.makeEpoll()
            let socket = try kernel.makeStreamSocket(for: target)
            _ = kernel.connect(socket, to: target)
            try kernel.add(
                socket, to: epoll, interest: [.readable, .writable, .peerHangUp, .edgeTriggered], token: 1)
            epollNumber = epoll.number
            self.epoll = consume epoll
            self.socket = consume socket
            stage = .look
            return waits()
        } catch {
            self.error = error.errno
            stage = .done
            return .proceed
        }
    }

    private func waits(until deadline: MonotonicTime? = nil) -> ThreadStep {
        stage = .look
        return .wait(epoll: epollNumber, deadline: deadline)
    }

    private func look() {
        _ = kernel.wait(on: epoll!, into: readiness, timeout: .zero)
        stage = .act
        for index in 0..<readiness.count {
            let reported = readiness.readiness(at: index)
            if reported.contains(.writable) { canWrite = true }
            if !reported.isDisjoint(with: [.readable, .ending]) { canRead = true }
            if !isConnected {
                error = kernel.takeError(of: socket!)
                isConnected = true
                if error != nil { stage = .done }
            }
        }
    }

    /// One random thing of those that are possible; sleeps if there is none, and sometimes anyway.
    private func act() -> ThreadStep {
        switch manner {
        case .resets(let limit) where sentCount >= limit:
            kernel.resetOnClose(socket!)
            return finish()
        case .leaves(let limit) where sentCount >= limit:
            return finish()
        default: break
        }
        if random.isOne(in: 24) {
            return waits(until: kernel.now.advanced(by: .microseconds(random.number(below: 8_000))))
        }
        var choices: [() -> Void] = []
        if canRead { choices.append(read) }
        if canWrite, sentCount < byteCount { choices.append(write) }
        if isConnected, sentCount == byteCount, !hasEnded, manner != .lingers { choices.append(end) }
        guard !choices.isEmpty else { return waits() }
        choices[random.number(below: choices.count)]()
        return .proceed
    }

    private func finish() -> ThreadStep {
        socket = nil
        epoll = nil
        slabs.trim()
        isFinished = true
        return .finished
    }

    // MARK: What it does

    private func write() {
        let chunk = random.number(in: 1...min(200, byteCount - sentCount))
        batch.append(Bytes(Array(pattern[sentCount..<sentCount + chunk])))
        let result = kernel.send(batch, to: socket!)
        batch.removeAll()
        sentCount += result.count
        if result.count < chunk {
            canWrite = false
            shortWrites += 1
        }
        if let errno = result.errno, !result.wouldBlock { fail(errno) }
    }

    private func end() {
        hasEnded = true
        let result = kernel.finishWriting(socket!)
        if let errno = result.errno, errno != .socketNotConnected { fail(errno) }
    }

    private func read() {
        let (filled, bytes) = slabs.receive(atMost: random.number(in: 1...300), expecting: 300) { span in
            kernel.receive(from: socket!, into: &span).rawValue
        }
        let result = CallResult(rawValue: filled)
        let expected = pattern[min(receivedCount, byteCount)..<min(receivedCount + bytes.count, byteCount)]
        if bytes != Bytes(Array(expected)), firstWrongPosition == nil { firstWrongPosition = receivedCount }
        receivedCount += bytes.count
        bytes.delivered()
        if filled == 0 {
            sawEnd = true
            stage = .done
        } else if result.wouldBlock {
            canRead = false
        } else if let errno = result.errno {
            fail(errno)
        }
    }

    private func fail(_ errno: Errno) {
        error = errno
        stage = .done
    }
}
