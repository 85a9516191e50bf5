// A machine of a simulated world, and the engine that runs on it: how a proactor is made for a simulation.

import AIO
import AIOKernel
import AIOWorkers

/// A simulated machine, as far as an engine is concerned. Sendable, unchecked: see `Simulation`.
struct Machine: @unchecked Sendable {
    let name: String
    let kernel: SimulatedKernel
    let host: SimulatedHost
}

extension Machine {
    /// A proactor of this machine, for as long as `body` takes; then it is checked that nothing is left open.
    func withProactor<Result>(
        reporting failures: HandlerFailures, _ body: (Proactor) async throws -> Result
    ) async throws -> Result {
        var configuration = Proactor.Configuration()
        configuration.workerCount = 1
        configuration.slabByteCount = 4_096
        configuration.inboundByteCountMax = 1 << 20
        configuration.jobsPerPassMax = 1
        configuration.watchdogThreshold = nil
        configuration.report = { failures.add($0) }
        let aio = try Proactor(configuration, kernel: kernel, host: host)
        let result: Result
        do {
            result = try await body(aio)
        } catch {
            try? await aio.shutdown()
            throw error
        }
        try await aio.shutdown()
        let left = kernel.openDescriptors
        if !left.isEmpty { throw SimulationError("left open: " + left.joined(separator: ", ")) }
        return result
    }
}

/// What handlers threw, as the engine reported it. Sendable, unchecked: see `Simulation`.
final class HandlerFailures: @unchecked Sendable {
    private(set) var first: SimulationError?

    func add(_ report: Report) { if first == nil { first = SimulationError("\(report)") } }
}
