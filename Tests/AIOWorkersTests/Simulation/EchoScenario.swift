// A whole simulated run: engine, echo program, clients, all drawn from one seed; and what must be true after
// it.

import AIOBytes
import AIOKernel
@testable import AIOTesting
import AIOWorkers

/// What a run consists of, besides its seed.
struct EchoScenario {
    var clientCount = 3
    var workerCount = 1
    var fault = ConsumerFault.none
    /// See `SimulatedKernelOptions`.
    var lostSignal: Int?
    /// Clients that reset the connection or go away come among the polite ones.
    var hasRudeClients = false
    /// The engine is ended, gracefully or not, after so many steps of somebody who does not care what is
    /// under way.
    var endsEarly = false
    var usesUnixSockets = false
    var descriptorsMax = 1_000
    /// Instead of what the seed says.
    var manner: EchoClient.Manner?
    var receiveWindow: Int?
    var idleTimeout = Duration.seconds(600)
}

/// What came of a run.
struct EchoOutcome {
    let world: SimulatedWorld
    /// Why it did not come to its end, if it did not.
    var failure: SimulationFailure?
    /// What must be true and was not.
    var problems: [String] = []
    var readPauses = 0
    var shortWrites = 0
    var drains = 0
    var acceptPauses = 0
    var reasons: [CloseReason] = []

    var isGood: Bool { failure == nil && problems.isEmpty }
    var message: String { world.message((failure.map { [$0.description] } ?? []) + problems) }
}

extension EchoScenario {
    func run(seed: UInt64) -> EchoOutcome {
        var random = SeededRandom(seed: seed ^ 0x5eed)
        var options = SimulatedKernelOptions()
        options.sendBufferByteCount = random.number(in: 8...200)
        options.receiveBufferByteCount = random.number(in: 8...200)
        options.descriptorsMax = descriptorsMax
        options.lostSignal = lostSignal
        let world = SimulatedWorld(seed: seed, options: options)
        do {
            return try run(in: world, configuration: configuration(&random, trace: world.trace))
        } catch {
            return EchoOutcome(world: world, problems: ["could not be set up: \(error)"])
        }
    }

    private func configuration(_ random: inout SeededRandom, trace: SimulationTrace) -> EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.workerCount = workerCount
        configuration.slabByteCount = 4_096
        configuration.inboundByteCountMax = random.number(in: 1...8) * 4_096
        configuration.readBudgetByteCount = random.number(in: 1...400)
        configuration.writeBudgetByteCount = random.number(in: 1...400)
        configuration.acceptBudget = random.number(in: 1...3)
        configuration.readinessBatchMax = random.number(in: 1...4)
        configuration.unseenConnectionsMax = random.number(in: 1...4)
        configuration.connectionsMax = random.number(in: 1...4)
        configuration.connection.receiveWindow = receiveWindow ?? random.number(in: 1...150)
        configuration.connection.highWaterMark = random.number(in: 0...200)
        configuration.connection.lowWaterMark = random.number(in: 0...configuration.connection.highWaterMark)
        configuration.connection.outboundByteCountMax = 1 << 20
        configuration.connection.idleTimeout = idleTimeout
        configuration.report = { trace.note("report: \($0)") }
        return configuration
    }

    private func run(in world: SimulatedWorld, configuration: EngineConfiguration) throws(AIOError)
        -> EchoOutcome
    {
        let engine = try Engine(configuration: configuration, kernel: world.kernel, host: world.host)
        let waker = try CounterWaker(kernel: world.kernel)
        let queue = CompletionQueue(waker: waker)
        let consumer = try EchoConsumer(
            kernel: world.kernel, waker: waker, queue: queue, accounts: engine.accounts, fault: fault,
            random: world.random.split())
        _ = try world.host.startThread(named: "consumer", consumer)
        let listener = try engine.listen(
            on: usesUnixSockets ? .abstract("echo") : .ip(.loopbackV4, port: 0),
            backlog: 2, isShared: false, sink: ConnectionSink(events: queue, limits: configuration.connection)
        )
        let clients = makeClients(in: world, target: listener.endpoint)
        for client in clients { _ = try world.host.startThread(named: "client \(client.index)", client) }
        try planEnd(of: engine, consumer: consumer, clients: clients, in: world)

        var outcome = EchoOutcome(world: world)
        do throws(SimulationFailure) {
            try world.scheduler.run()
            engine.joinThreads()
        } catch {
            outcome.failure = error
        }
        outcome.readPauses = Int(engine.workers.reduce(0) { $0 + $1.counters.readPauses.current })
        outcome.acceptPauses = Int(engine.workers.reduce(0) { $0 + $1.counters.acceptPauses.current })
        outcome.shortWrites = clients.reduce(0) { $0 + $1.shortWrites }
        outcome.drains = consumer.drains
        outcome.reasons = consumer.logs.flatMap(\.reasons)
        outcome.problems = world.trace.violations
        if outcome.failure == nil {
            outcome.problems += problems(consumer, clients)
            if engine.accounts.connectionCount != 0 {
                outcome.problems.append("connections are still counted")
            }
            let open = world.kernel.openDescriptors
            if !open.isEmpty { outcome.problems.append("left open: \(open.joined(separator: ", "))") }
        }
        return outcome
    }

    private func makeClients(in world: SimulatedWorld, target: Endpoint) -> [EchoClient] {
        (0..<clientCount).map { index in
            let byteCount = world.random.number(in: 0...400)
            let drawn: EchoClient.Manner =
                switch world.random.number(below: hasRudeClients ? 4 : 1) {
                case 1: .resets(after: world.random.number(in: 0...byteCount))
                case 2: .leaves(after: world.random.number(in: 0...byteCount))
                default: .polite
                }
            return EchoClient(
                index: index, kernel: world.kernel, target: target, byteCount: byteCount,
                manner: manner ?? drawn,
                random: world.random.split())
        }
    }

    /// The consumer ends the engine when all clients have come and gone; or somebody does, at any time.
    private func planEnd(
        of engine: Engine, consumer: EchoConsumer, clients: [EchoClient], in world: SimulatedWorld
    ) throws(AIOError) {
        let queue = consumer.queue
        let gracefully = world.random.isOne(in: 2)
        let end: @Sendable () -> Void = { [weak engine] in
            engine?.end(gracefully: gracefully) { queue.push(ValueNode(EchoConsumer.EngineEnded())) }
        }
        if endsEarly || hasRudeClients {
            let steps = endsEarly ? world.random.number(in: 0...400) : nil
            let accounts = engine.accounts
            let isDue = { clients.allSatisfy(\.isFinished) && accounts.connectionCount == 0 }
            let ender = EngineEnder(kernel: world.kernel, steps: steps, isDue: isDue, end: end)
            _ = try world.host.startThread(named: "ender", ender)
        } else {
            var left = clientCount
            consumer.onClosed = {
                left -= 1
                if left == 0 { end() }
            }
        }
    }

    private func problems(_ consumer: EchoConsumer, _ clients: [EchoClient]) -> [String] {
        var problems: [String] = []
        for log in consumer.logs {
            if log.openings != 1 { problems.append("connection \(log.id) was opened \(log.openings) times") }
            if log.reasons.count != 1 {
                problems.append("connection \(log.id) was closed \(log.reasons.count) times")
            }
            if log.endings > 1 { problems.append("connection \(log.id) heard of its peer's end twice") }
        }
        for client in clients {
            if let position = client.firstWrongPosition {
                problems.append(
                    "client \(client.index): what came from byte \(position) on is not what was sent")
            }
            if client.receivedCount > client.sentCount {
                problems.append("client \(client.index) got too much")
            }
        }
        if hasRudeClients || endsEarly || manner != nil { return problems }
        if consumer.logs.count != clientCount {
            problems.append("\(consumer.logs.count) connections were seen")
        }
        if consumer.refusals > 0 { problems.append("\(consumer.refusals) sends were refused") }
        for log in consumer.logs where log.reasons != [.peer] {
            problems.append("connection \(log.id) was closed because \(log.reasons)")
        }
        for client in clients where !client.sawEnd || client.receivedCount != client.byteCount {
            let error = client.error.map { ", \($0)" } ?? ""
            problems.append(
                "client \(client.index) got \(client.receivedCount) of \(client.byteCount)\(error)")
        }
        return problems
    }
}
