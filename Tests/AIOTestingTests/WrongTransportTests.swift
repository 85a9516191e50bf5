// What `checkTransport` is for: transports that break a promise are found, by the check of that promise.

import AIO
import AIOKernel
import Testing

@testable import AIOTesting

@Suite struct WrongTransportTests {
    @Test(arguments: PlantedFault.allCases)
    func `a wrong transport is found by the check of what it breaks`(_ fault: PlantedFault) async throws {
        var options = TransportCheckOptions.only(fault.promise)
        options.timeLimit = .seconds(20)
        for seed in 0..<20 as Range<UInt64> {
            let found = try await broken(by: fault, options, seed: seed)
            if found == [fault.promise] { return }
            #expect(found.isEmpty)
        }
        Issue.record("no seed finds it")
    }

    @Test func `with nothing wrong in it nothing is found`() async throws {
        for promise in TransportPromise.allCases {
            let found = try await broken(by: nil, .only(promise), seed: 1)
            #expect(found.isEmpty)
        }
    }

    @Test(arguments: [
        PlantedFault.finishEndsBothWays, .finishIsForgotten, .oneWriterAtATime, .queueHasNoBound,
    ])
    func `what a transport is not able to do is not asked of it`(_ fault: PlantedFault) async throws {
        var options = TransportCheckOptions()
        options.bufferedByteCountMax = fault == .queueHasNoBound ? nil : 512 << 10
        options.hasConcurrentWrites = fault != .oneWriterAtATime
        options.hasHalfClose = fault != .finishEndsBothWays && fault != .finishIsForgotten
        let found = try await broken(by: fault, options, seed: 1)
        #expect(found.isEmpty)
    }

    /// The promises of which issues were recorded.
    private func broken(
        by fault: PlantedFault?, _ options: TransportCheckOptions, seed: UInt64
    ) async throws -> Set<TransportPromise> {
        var limits = ConnectionLimits()
        // `queueHasNoBound` needs one that would not be met.
        limits.outboundByteCountMax = .max
        let chosen = limits
        let found = Found()
        try await withKnownIssue(isIntermittent: true) {
            try await Simulation(seed: seed).run { _ in
                try await checkTransport(options) { body in
                    try await withConnectedPair(limits: chosen) { client, server in
                        try await body(WrongTransport(client, fault), WrongTransport(server, fault))
                    }
                }
            }
        } matching: { issue in
            guard let error = issue.error as? BrokenPromise else { return false }
            found.add(error.promise)
            return true
        }
        return found.promises
    }
}

/// Sendable, unchecked: what changes is under `lock`.
private final class Found: @unchecked Sendable {
    private let lock = PosixLock()
    private var found: Set<TransportPromise> = []

    func add(_ promise: TransportPromise) { lock.withLock { _ = found.insert(promise) } }
    var promises: Set<TransportPromise> { lock.withLock { found } }
}
