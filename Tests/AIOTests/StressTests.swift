// Everything at once, on real threads and real sockets: what the thread sanitizer watches (scripts/test
// --stage tsan). Two proactors talk to each other while tasks that belong to neither send, post, schedule,
// close and shut down.

import AIO
import AIOKernel
import Testing

/// Serialised: each of these wants the machine to itself.
@Suite("Stress", .serialized)
struct StressTests {
    /// Tasks that send, beside the two loops.
    private static let senderCount = 8
    /// Of each task, before the timers are counted; the tasks then go on until the shutdown is over.
    private static let operationsOfMainPhase = 400
    private static let connectionsAtOnce = 64
    private static let connectionsMax = 256

    @Test(
        "Every promise of the stream is kept under concurrent sends, posts, timers, closes and a shutdown",
        .timeLimit(.minutes(2)))
    func everythingAtOnce() async throws {
        var seeds = SystemRandomNumberGenerator()
        let seed = seeds.next()
        var configuration = Proactor.Configuration()
        configuration.workerCount = 4
        configuration.connection.whenOutboundIsFull = .refuse
        configuration.shutdownTimeout = .seconds(2)
        configuration.report = { Issue.record("the engine reported \($0)") }
        let server = try Proactor(configuration)
        configuration.workerCount = 2
        let client = try Proactor(configuration)
        let listener = try await server.events.listen(on: "127.0.0.1:0")

        let load = Load()
        let mainPhase = AsyncStream<Void>.makeStream()
        let serving = Task { await ServerLoop(server, load, mainPhase.continuation).run() }
        let calling = Task {
            try await ClientLoop(client, listener.endpoint, connectionsMax: Self.connectionsMax).run()
        }
        for _ in 0..<Self.connectionsAtOnce { try client.events.connect(to: listener.endpoint) }

        let timersOfMainPhase = try await withThrowingTaskGroup(of: Void.self, returning: TimerCounts.self) {
            senders in
            for index in 0..<Self.senderCount {
                senders.addTask {
                    var sender = Sender(index, seed: seed, server, client, load)
                    await sender.run(Self.operationsOfMainPhase)
                }
            }
            await load.waitForSenders(Self.senderCount)
            // Later than every timer of a sender: when it comes, the others have come.
            _ = try? server.events.schedule(after: .milliseconds(100), tag: .lastOfMainPhase)
            for await _ in mainPhase.stream { break }
            let counts = load.timerCounts

            let postsBefore = load.posts
            try await server.shutdown()
            let seen = await serving.value
            try await client.shutdown()
            load.stop()
            #expect(seen.posts >= postsBefore && seen.posts <= load.postsAttempted)
            return counts
        }
        let served = await serving.value
        let called = try await calling.value

        #expect(served.timersAtEndOfMainPhase == timersOfMainPhase.scheduled - timersOfMainPhase.cancelled)
        #expect(served.timers.isDisjoint(with: load.cancelledTimers))
        for ledger in [served, called] {
            #expect(ledger.lives.values.allSatisfy { $0.closedCount == 1 }, "seed \(seed)")
            #expect(ledger.faults.isEmpty, "seed \(seed)")
        }
        // No connection of a listener can go by unseen; a connect may be cut before it is made.
        #expect(served.lives.values.allSatisfy { $0.wasOpened })
        #expect(served.lives.count == server.statistics.total.accepted)
        #expect(called.lives.count >= Self.connectionsAtOnce)
        for statistics in [server.statistics, client.statistics] {
            #expect(statistics.connections == 0)
            #expect(statistics.total.openConnections == 0)
        }
        #expect(throws: AIOError.self) { try server.events.post(0) }
    }

    @Test(
        "A proactor that several tasks shut down at once, one of them cancelled, ends once and owes no event",
        .timeLimit(.minutes(2)))
    func startsAndEnds() async throws {
        for round in 0..<10 {
            var configuration = Proactor.Configuration()
            configuration.workerCount = 1 + round % 4
            configuration.shutdownTimeout = .seconds(1)
            let aio = try Proactor(configuration)
            let listener = try await aio.events.listen(on: "127.0.0.1:0")
            for _ in 0..<8 { try aio.events.connect(to: listener.endpoint).send(Bytes("hello")) }
            let loop = Task {
                var closed = 0
                for await event in aio.events {
                    if case .closed = event { closed += 1 }
                }
                return closed
            }
            let enders = (0..<3).map { _ in Task { try await aio.shutdown() } }
            if round % 2 == 1 { enders[1].cancel() }
            for ender in enders { try await ender.value }
            // The eight that were asked for, and those of them that had been accepted by then.
            #expect(await loop.value == 8 + Int(aio.statistics.total.accepted), "round \(round)")
            #expect(aio.statistics.connections == 0)
        }
    }
}

// MARK: - What the tasks share

private struct TimerCounts {
    var scheduled = 0
    var cancelled = 0
}

/// What senders and loops tell each other. `lock` guards all of it: a PosixLock, because the thread sanitizer
/// does not see the synchronisation of `Mutex`.
private final class Load: @unchecked Sendable {
    private let lock = PosixLock()
    private var roster: [Connection] = []
    private var cancelled: Set<UInt64> = []
    private var counts = TimerCounts()
    private var postsTried = 0
    private var postsDone = 0
    private var sendersDone = 0
    private var isStopped = false
    private var waiting: CheckedContinuation<Void, Never>?
    private var wanted = 0

    func joined(_ connection: Connection) { lock.withLock { roster.append(connection) } }
    func left(_ connection: Connection) { lock.withLock { roster.removeAll { $0 == connection } } }
    var connections: [Connection] { lock.withLock { roster } }

    func scheduled() { lock.withLock { counts.scheduled += 1 } }
    func cancelled(_ tag: UInt64) {
        lock.withLock {
            counts.cancelled += 1
            cancelled.insert(tag)
        }
    }
    var timerCounts: TimerCounts { lock.withLock { counts } }
    var cancelledTimers: Set<UInt64> { lock.withLock { cancelled } }

    func post(_ body: () throws -> Void) {
        lock.withLock { postsTried += 1 }
        if (try? body()) != nil { lock.withLock { postsDone += 1 } }
    }
    var posts: Int { lock.withLock { postsDone } }
    var postsAttempted: Int { lock.withLock { postsTried } }

    func stop() { lock.withLock { isStopped = true } }
    var shouldStop: Bool { lock.withLock { isStopped } }

    func senderIsDone() {
        let resumed = lock.withLock { () -> CheckedContinuation<Void, Never>? in
            sendersDone += 1
            return sendersDone == wanted ? waiting.take() : nil
        }
        resumed?.resume()
    }

    func waitForSenders(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = lock.withLock { () -> Bool in
                wanted = count
                if sendersDone < count { waiting = continuation }
                return sendersDone >= count
            }
            if isThere { continuation.resume() }
        }
    }
}

extension EventTag {
    fileprivate static let lastOfMainPhase = EventTag(rawValue: .max)
}

// MARK: - Frames

/// One frame is a byte of length and then that many bytes, all with the sender's number. It is sent as two
/// parts, so a frame that arrives mixed with another one is parts that did not stay together.
private enum Frame {
    static func parts(from sender: UInt8, byteCount: UInt8) -> [Bytes] {
        [Bytes([byteCount]), Bytes([UInt8](repeating: sender, count: Int(byteCount)))]
    }
}

private struct FrameChecker {
    private var left = 0
    private var sender: UInt8?

    var isBetweenFrames: Bool { left == 0 }

    /// False if the bytes are not what whole frames, one behind the other, look like.
    mutating func arrived(_ bytes: Bytes) -> Bool {
        for byte in bytes {
            if left == 0 {
                left = Int(byte)
                sender = nil
                if left == 0 { return false }
            } else {
                if let sender, sender != byte { return false }
                sender = byte
                left -= 1
            }
        }
        return true
    }
}

/// What one loop saw of one connection.
private struct Life {
    var wasOpened = false
    var closedCount = 0
    var frames = FrameChecker()
}

// MARK: - The loops

/// The lives of a loop's connections, and what was wrong about them.
private struct Ledger {
    var lives: [Connection: Life] = [:]
    var faults: [String] = []
    var posts = 0
    var timers: Set<UInt64> = []
    var timersAtEndOfMainPhase = 0

    /// The first event of a connection opens its life, `closed` ends it, and nothing comes before or after.
    mutating func saw(_ event: Event) {
        switch event {
        case .accepted(let connection), .connected(let connection):
            if lives[connection]?.wasOpened == true { faults.append("\(connection) opened twice") }
            lives[connection, default: Life()].wasOpened = true
        case .received(let bytes, let connection):
            check(connection, "received")
            if bytes.isEmpty { faults.append("\(connection): received nothing") }
            if lives[connection]?.frames.arrived(bytes) == false {
                faults.append("\(connection): frames are mixed")
            }
        case .drained(let connection):
            check(connection, "drained")
        case .peerHalfClosed(let connection):
            check(connection, "ended")
            if lives[connection]?.frames.isBetweenFrames == false {
                faults.append("\(connection): half a frame at the end")
            }
        case .closed(let connection, _):
            lives[connection, default: Life()].closedCount += 1
        case .posted:
            posts += 1
        case .timer(let tag):
            if !timers.insert(tag.rawValue).inserted { faults.append("timer \(tag.rawValue) twice") }
        default:
            faults.append("unexpected \(event)")
        }
    }

    private mutating func check(_ connection: Connection, _ what: String) {
        let life = lives[connection] ?? Life()
        if !life.wasOpened { faults.append("\(connection): \(what) before it was open") }
        if life.closedCount > 0 { faults.append("\(connection): \(what) after it was closed") }
    }
}

/// Takes the server's events and keeps the roster that the senders choose from.
private struct ServerLoop {
    let aio: Proactor
    let load: Load
    let mainPhaseOver: AsyncStream<Void>.Continuation

    init(_ aio: Proactor, _ load: Load, _ mainPhaseOver: AsyncStream<Void>.Continuation) {
        self.aio = aio
        self.load = load
        self.mainPhaseOver = mainPhaseOver
    }

    func run() async -> Ledger {
        var ledger = Ledger()
        for await event in aio.events {
            if case .timer(.lastOfMainPhase) = event {
                ledger.timersAtEndOfMainPhase = ledger.timers.count
                mainPhaseOver.finish()
                continue
            }
            ledger.saw(event)
            switch event {
            case .accepted(let connection): load.joined(connection)
            case .closed(let connection, _): load.left(connection)
            default: break
            }
        }
        return ledger
    }
}

/// Takes the client's events, answers bytes with a frame, and replaces connections that closed.
private struct ClientLoop {
    let aio: Proactor
    let target: Endpoint
    let connectionsMax: Int

    init(_ aio: Proactor, _ target: Endpoint, connectionsMax: Int) {
        self.aio = aio
        self.target = target
        self.connectionsMax = connectionsMax
    }

    func run() async throws -> Ledger {
        var ledger = Ledger()
        for await event in aio.events {
            ledger.saw(event)
            switch event {
            case .received(_, let connection):
                connection.send(Frame.parts(from: 0xff, byteCount: 200))
            case .closed:
                // Refused once the limit is reached or the shutdown has begun.
                if ledger.lives.count < connectionsMax { _ = try? aio.events.connect(to: target) }
            default:
                break
            }
        }
        return ledger
    }
}

// MARK: - The senders

/// A task of neither loop, that does to the server's connections whatever a program may do.
private struct Sender {
    let index: Int
    let server: Proactor
    let client: Proactor
    let load: Load
    private let seed: UInt64
    private var toCancel: [(ScheduledTimer, UInt64)] = []

    init(_ index: Int, seed: UInt64, _ server: Proactor, _ client: Proactor, _ load: Load) {
        self.index = index
        self.seed = seed
        self.server = server
        self.client = client
        self.load = load
    }

    mutating func run(_ operationsOfMainPhase: Int) async {
        var random = SplitMix(seed: seed &+ UInt64(index))
        for operation in 0..<operationsOfMainPhase {
            operate(&random)
            time(UInt64(index) << 32 | UInt64(operation), &random)
            await Task.yield()
        }
        load.senderIsDone()
        while !load.shouldStop {
            operate(&random)
            await Task.yield()
        }
    }

    private func operate(_ random: inout SplitMix) {
        guard let connection = load.connections.randomElement(using: &random) else { return }
        switch Int.random(in: 0..<200, using: &random) {
        case 0: connection.close()
        case 1: connection.abort()
        case 2: connection.finish()
        case 3..<8:
            for connection in load.connections { send(on: connection, &random) }
        case 8..<20:
            load.post { try server.events.post(index) }
            _ = try? client.events.post(index)
        case 20..<24: _ = server.statistics
        default: send(on: connection, &random)
        }
    }

    private func send(on connection: Connection, _ random: inout SplitMix) {
        let byteCount = UInt8.random(in: 1...255, using: &random)
        connection.send(Frame.parts(from: UInt8(index), byteCount: byteCount))
    }

    /// A timer, and half of the time its cancelling: at once, or some operations later, when it is about due.
    private mutating func time(_ tag: UInt64, _ random: inout SplitMix) {
        let delay = Duration.milliseconds(Int.random(in: 0..<10, using: &random))
        guard let timer = try? server.events.schedule(after: delay, tag: EventTag(rawValue: tag)) else {
            return
        }
        load.scheduled()
        switch Int.random(in: 0..<4, using: &random) {
        case 0: cancel(timer, tag)
        case 1: toCancel.append((timer, tag))
        default: break
        }
        if toCancel.count > 8 {
            let (oldest, tag) = toCancel.removeFirst()
            cancel(oldest, tag)
        }
    }

    private func cancel(_ timer: ScheduledTimer, _ tag: UInt64) {
        if timer.cancel() { load.cancelled(tag) }
    }
}

/// SplitMix64: what a seed makes is the same on every machine.
private struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
