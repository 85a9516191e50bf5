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
        .closeResetsOverUnreadBytes,
    ])
    func `what a transport is not able to do is not asked of it`(_ fault: PlantedFault) async throws {
        var options = TransportCheckOptions()
        options.bufferedByteCountMax = fault == .queueHasNoBound ? nil : 512 << 10
        options.hasConcurrentWrites = fault != .oneWriterAtATime
        options.hasHalfClose = fault != .finishEndsBothWays && fault != .finishIsForgotten
        options.closeOutlivesUnreadBytes = fault != .closeResetsOverUnreadBytes
        let found = try await broken(by: fault, options, seed: 1)
        #expect(found.isEmpty)
    }

    @Test func `what hangs for good is reported, without a simulation, too`() async throws {
        var options = TransportCheckOptions.only(.oneReaderAtATime)
        options.timeLimit = .milliseconds(100)
        let reports = try await reported { [options] in
            try await checkTransport(options) { body in try await body(DeafTransport(), DeafTransport()) }
        }
        #expect(reports.count == 2, "both ways round")
        for report in reports {
            #expect(report.description.contains("has not ended after 0.1 seconds. Under way: "))
            // Here tasks run side by side: one of the reads may have been noted before.
            #expect(report.description.contains("neither of two reads at the same time is refused"))
            #expect(report.description.contains("it still does not end"))
        }
    }

    @Test func `a make that makes nothing is reported`() async throws {
        let reports = try await reported {
            try await checkTransport(.only(.endComesLast)) { (_: @escaping Body) in }
        }
        #expect(reports.allSatisfy { $0.description.contains("there was no pair to check it with") })
        #expect(reports.count == 2)
    }

    @Test func `what make throws is thrown`() async throws {
        await #expect(throws: SomethingElse.self) {
            try await checkTransport { (_: @escaping Body) in throw SomethingElse() }
        }
    }

    private typealias Body = @Sendable (DeafTransport, DeafTransport) async throws -> Void

    /// The promises of which issues were recorded.
    private func broken(
        by fault: PlantedFault?, _ options: TransportCheckOptions, seed: UInt64
    ) async throws -> Set<TransportPromise> {
        var limits = ConnectionLimits()
        // `queueHasNoBound` needs one that would not be met.
        limits.outboundByteCountMax = .max
        let chosen = limits
        let reports = try await reported {
            try await Simulation(seed: seed).run { _ in
                try await checkTransport(options) { body in
                    try await withConnectedPair(limits: chosen) { client, server in
                        try await body(WrongTransport(client, fault), WrongTransport(server, fault))
                    }
                }
            }
        }
        return Set(reports.map(\.promise))
    }

    /// What `body` reports of broken promises.
    private func reported(_ body: () async throws -> Void) async throws -> [BrokenTransportPromise] {
        let reports = Reports()
        try await withKnownIssue(isIntermittent: true) {
            try await body()
        } matching: { issue in
            guard let error = issue.error as? BrokenTransportPromise else { return false }
            reports.add(error)
            return true
        }
        return reports.all
    }
}

/// Does nothing, and goes on doing it whatever happens.
private struct DeafTransport: StreamTransport {
    func read(atMost byteCountMax: Int) async throws -> Bytes? { await Never.value }
    func write(_ bytes: Bytes) async throws { await Never.value }
    func flush() async throws { await Never.value }
    func finish() async { await Never.value }
    func close() async { await Never.value }
    func abort() async { await Never.value }
}

/// Sendable, unchecked: what changes is under `lock`.
private final class Reports: @unchecked Sendable {
    private let lock = PosixLock()
    private var reports: [BrokenTransportPromise] = []

    func add(_ report: BrokenTransportPromise) { lock.withLock { reports.append(report) } }
    var all: [BrokenTransportPromise] { lock.withLock { reports } }
}
