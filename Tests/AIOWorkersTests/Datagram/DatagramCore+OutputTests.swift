// What becomes of datagrams while the kernel takes none: on a simulated kernel, since on loopback no send buffer is
// ever full for long.

import AIOBytes
import AIOKernel
@testable import AIOTesting
import Testing

@testable import AIOWorkers

@Suite(.timeLimit(.minutes(1))) struct DatagramOutputTests {
    @Test(arguments: [true, false])
    func `while the kernel takes no more, datagrams wait in order, then sends do, and none is lost`(
        isConnected: Bool
    ) async throws {
        // Four in the kernel's buffer, eight in the queue, and eight that wait in line.
        let blocked = try BlockedDatagrams(isConnected: isConnected, outboundDatagramsMax: 8)
        for number in 0..<8 { #expect(blocked.trySend(number) == .queued) }
        #expect(blocked.refusal(of: 8) == .limitReached)
        try blocked.runUntilAllSleep()
        #expect(blocked.socket.refusalCount == 1, "one look, and then it waits for the edge")
        for number in 8..<12 { #expect(blocked.trySend(number) == .queued) }
        try blocked.runUntilAllSleep()
        var waiting: [Task<Void, any Error>] = []
        for number in 12..<20 { waiting.append(try await blocked.sendThatWaits(number)) }
        #expect(blocked.refusal(of: 20) == .limitReached)
        try blocked.runUntilAllSleep()
        #expect(blocked.socket.refusalCount == 1, "the kernel was asked again though it had said no")
        var statistics = blocked.core.statistics
        #expect(statistics.sent == 4 && statistics.outboundCount == 8 && statistics.sendsRefused == 2)
        #expect(blocked.core.waitingSendCount == 8)

        // Not writable yet: more than half of the buffer is in use.
        blocked.socket.depart()
        try blocked.runUntilAllSleep()
        #expect(blocked.core.statistics.sent == 4)
        while blocked.socket.depart() { try blocked.runUntilAllSleep() }
        try #require(blocked.core.waitingSendCount == 0)
        for task in waiting { try await task.value }
        #expect(blocked.departedNumbers == Array(0..<20))
        statistics = blocked.core.statistics
        #expect(statistics.sent == 20 && statistics.outboundCount == 0)
        #expect(statistics.sendErrors == 0 && statistics.sendsDropped == 0)
        try blocked.end()
    }

    @Test func `a send that is cancelled while the kernel takes no more has sent nothing, others have`()
        async throws
    {
        let blocked = try BlockedDatagrams(isConnected: true, outboundDatagramsMax: 1)
        for number in 0..<5 {
            #expect(blocked.trySend(number) == .queued)
            try blocked.runUntilAllSleep()
        }
        let cancelled = try await blocked.sendThatWaits(99)
        let last = try await blocked.sendThatWaits(5)
        cancelled.cancel()
        let error = await #expect(throws: AIOError.self) { try await cancelled.value }
        #expect(error?.code == .cancelled)
        while blocked.socket.depart() { try blocked.runUntilAllSleep() }
        try #require(blocked.core.waitingSendCount == 0)
        try await last.value
        #expect(blocked.departedNumbers == Array(0..<6))
        try blocked.end()
    }

    @Test func `a socket that closes while the kernel takes no more drops and counts what was queued`()
        async throws
    {
        let blocked = try BlockedDatagrams(isConnected: true, outboundDatagramsMax: 8)
        for number in 0..<8 { #expect(blocked.trySend(number) == .queued) }
        try blocked.runUntilAllSleep()
        for number in 8..<12 { #expect(blocked.trySend(number) == .queued) }
        let waiting = try await blocked.sendThatWaits(12)
        blocked.core.requestClose()
        let error = await #expect(throws: AIOError.self) { try await waiting.value }
        #expect(error?.code == .closed)
        try blocked.runUntilAllSleep()
        while blocked.socket.depart() {}
        #expect(blocked.departedNumbers == Array(0..<4))
        let statistics = blocked.core.statistics
        #expect(statistics.sent == 4 && statistics.sendsDropped == 8 && statistics.outboundCount == 0)
        try blocked.end()
    }

    /// The edge may come at any moment: between the refusal and the arming, for one.
    @Test(arguments: [true, false])
    func `whenever the kernel takes more again, the rest goes out, in order`(isConnected: Bool) throws {
        var refusals = 0
        for seed in 1...200 as ClosedRange<UInt64> {
            let blocked = try BlockedDatagrams(seed: seed, isConnected: isConnected, outboundDatagramsMax: 8)
            try blocked.startSending(100)
            do throws(SimulationFailure) {
                try blocked.world.scheduler.run(until: { blocked.socket.departed.count == 100 })
            } catch {
                Issue.record("\(blocked.world.message([error.description]))")
                return
            }
            guard blocked.departedNumbers == Array(0..<100) else {
                Issue.record("seed \(seed): what left is \(blocked.departedNumbers)")
                return
            }
            refusals += blocked.socket.refusalCount
            try blocked.end()
        }
        #expect(refusals > 1_000, "the kernel's buffer was full again and again")
    }
}

/// An engine on a simulated kernel with one UDP socket, whose send buffer is soon full.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one task that runs the test.
private final class BlockedDatagrams: @unchecked Sendable {
    let world: SimulatedWorld
    let core: DatagramCore
    let socket: SimulatedDatagramSocket
    private let engine: Engine
    private let target: Endpoint?

    struct Impatience: Error {}

    init(seed: UInt64 = 1, isConnected: Bool, outboundDatagramsMax: Int) throws {
        world = SimulatedWorld(seed: seed)
        var configuration = EngineConfiguration()
        configuration.workerCount = 1
        engine = try Engine(configuration: configuration, kernel: world.kernel, host: world.host)
        var options = DatagramOptions()
        options.outboundDatagramsMax = outboundDatagramsMax
        let peer = Endpoint.ip(.loopbackV4, port: 9)
        target = isConnected ? nil : peer
        core =
            isConnected
            ? try engine.connectDatagrams(to: [peer], options: options)
            : try engine.bindDatagrams(to: .ip(.loopbackV4, port: 0), options: options)
        socket = try #require(world.kernel.datagramSockets.first)
    }

    // MARK: Sending

    static func payload(_ number: Int) -> Bytes { Bytes(Array("\(number)".utf8)) }

    var departedNumbers: [Int] {
        socket.departed.compactMap { Int(String(decoding: $0, as: UTF8.self)) }
    }

    @discardableResult
    func trySend(_ number: Int) -> DatagramOutcome { core.trySend(Self.payload(number), to: target) }

    func refusal(of number: Int) -> AIOError.Code? {
        if case .refused(let error) = trySend(number) { error.code } else { nil }
    }

    /// A task that has come to stand in line. It touches nothing of the simulation, which has one thread: the queue is
    /// full.
    func sendThatWaits(_ number: Int) async throws -> Task<Void, any Error> {
        let core = core
        let target = target
        let before = core.waitingSendCount
        let task = Task { try await core.send(Self.payload(number), to: target) }
        let deadline = ContinuousClock.now.advanced(by: .seconds(20))
        while core.waitingSendCount == before {
            guard ContinuousClock.now < deadline else { throw Impatience() }
            await Task.yield()
        }
        return task
    }

    /// From here on the schedule says when a datagram is sent, and when one leaves the kernel.
    func startSending(_ count: Int) throws {
        let sender = DatagramScript(world) { [unowned self] turn in
            guard turn < count else { return .finished }
            return trySend(turn) == .queued ? .next : .later
        }
        let wire = DatagramScript(world) { [unowned self] _ in
            socket.departed.count == count ? .finished : socket.depart() ? .next : .later
        }
        _ = try world.host.startThread(named: "sender", sender)
        _ = try world.host.startThread(named: "wire", wire)
    }

    // MARK: Running

    /// Runs the worker until it waits for something that does not come by itself. One that asks a full socket again
    /// and again never does.
    func runUntilAllSleep() throws {
        do throws(SimulationFailure) {
            try world.scheduler.run()
        } catch {
            guard error.kind != .stalled else { return }
            throw error
        }
    }

    func end() throws {
        engine.end(gracefully: true) {}
        try world.scheduler.run()
        engine.joinThreads()
        #expect(world.trace.violations == [] && world.kernel.openDescriptors == [])
    }
}

/// Does something again and again, with pauses that the seed draws.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
private final class DatagramScript: ThreadBody, @unchecked Sendable {
    enum Outcome { case next, later, finished }

    private let kernel: SimulatedKernel
    private var random: SeededRandom
    private let act: (_ turn: Int) -> Outcome
    private var turn = 0

    init(_ world: SimulatedWorld, _ act: @escaping (_ turn: Int) -> Outcome) {
        kernel = world.kernel
        random = world.random.split()
        self.act = act
    }

    func step() -> ThreadStep {
        switch act(turn) {
        case .next: turn += 1
        case .later: return pause()
        case .finished: return .finished
        }
        return random.isOne(in: 4) ? pause() : .proceed
    }

    private func pause() -> ThreadStep {
        .wait(epoll: -1, deadline: kernel.now.advanced(by: .microseconds(random.number(in: 1...50))))
    }
}
