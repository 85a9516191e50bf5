// One simulated machine, made from one seed: kernel, host and trace together, and the words for a run that
// failed.

import AIOKernel
@testable import AIOTesting

/// Everything that a simulated run consists of. The same seed and the same bodies give the same trace.
final class SimulatedWorld {
    let seed: UInt64
    let trace: SimulationTrace
    let network: SimulatedNetwork
    let kernel: SimulatedKernel
    let scheduler: Scheduler
    let host: SimulatedHost
    /// For scripts: what they do is drawn from it before the run starts.
    var random: SeededRandom

    init(seed: UInt64, options: SimulatedKernelOptions = SimulatedKernelOptions()) {
        var random = SeededRandom(seed: seed)
        self.seed = seed
        trace = SimulationTrace()
        network = SimulatedNetwork(time: SimulatedTime(trace: trace), chance: random.split(), trace: trace)
        kernel = SimulatedKernel(options: options, network: network, chance: random.split())
        scheduler = Scheduler(network: network, schedule: SeededSchedule(random: random.split()))
        host = SimulatedHost(kernel: kernel, scheduler: scheduler)
        self.random = random.split()
    }

    /// All that a person needs to replay and read a failed run.
    func message(_ problems: [String]) -> String {
        """
        seed \(seed): \(problems.joined(separator: "\n"))
          the last lines of \(trace.lines.count):
        \(trace.tail())
        """
    }
}
