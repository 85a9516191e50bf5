// A simulated machine with a network of its own, for tests of the kernel alone.

@testable import AIOTesting

extension SimulatedKernel {
    convenience init(options: SimulatedKernelOptions, seed: UInt64, trace: SimulationTrace) {
        var random = SeededRandom(seed: seed)
        let network = SimulatedNetwork(
            time: SimulatedTime(trace: trace), chance: random.split(), trace: trace)
        self.init(options: options, network: network, chance: random.split())
    }
}

extension SimulatedKernelOptions {
    /// No write is cut short by chance.
    static var exact: SimulatedKernelOptions {
        var options = SimulatedKernelOptions.roomy
        options.shortWritesOneIn = nil
        return options
    }
}
