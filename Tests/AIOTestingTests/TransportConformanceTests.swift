// What every transport promises, kept by connections over the simulated kernel.

import AIO
import Testing

@testable import AIOTesting

@Suite struct TransportConformanceTests {
    @Test(.simulated(seeds: 0..<30), arguments: TransportPromise.allCases)
    func `a connection keeps its promises over simulated TCP`(_ promise: TransportPromise) async throws {
        try await checkTransport(.only(promise)) { body in
            try await withConnectedPair { client, server in try await body(client, server) }
        }
    }

    @Test func `and where each pair is in a simulation of its own`() async throws {
        try await checkTransport(.only(.everyByteInOrder)) { body in
            try await withConnectedPair { client, server in try await body(client, server) }
        }
    }

    @Test(.simulated(seeds: 0..<5), arguments: TransportPromise.allCases, Ground.allCases)
    fileprivate func `and where it is harder`(_ promise: TransportPromise, on ground: Ground) async throws {
        var options = TransportCheckOptions.only(promise)
        options.byteCount = 100_000
        var limits = ConnectionLimits()
        switch ground {
        case .unixSockets:
            options.abortIsReset = false
        case .smallWindows:
            limits.receiveWindow = 1_000
            limits.highWaterMark = 2_000
            limits.lowWaterMark = 0
        case .slowLine:
            options.byteCount = 30_000
            options.pause = .seconds(1)
            Simulation.current?.conditions = LinkConditions(
                latency: .milliseconds(1) ... .milliseconds(40), bytesPerSecond: 200_000)
        case .chaos:
            options.byteCount = 30_000
            Simulation.current?.network.arrival = .chaos
        }
        try await checkTransport(options) { [limits] body in
            try await withConnectedPair(over: ground == .unixSockets ? .unix : .tcp, limits: limits) {
                try await body($0, $1)
            }
        }
    }
}

private enum Ground: CaseIterable, Sendable { case unixSockets, smallWindows, slowLine, chaos }

extension TransportCheckOptions {
    /// One promise, of connections over the simulated kernel.
    static func only(_ promise: TransportPromise) -> Self {
        var options = Self()
        options.promises = [promise]
        options.bufferedByteCountMax = 512 << 10
        return options
    }
}
