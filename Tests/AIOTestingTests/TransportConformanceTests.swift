// What every transport promises, kept by connections over the simulated kernel.

import AIO
import AIOTesting
import Testing

@Suite struct TransportConformanceTests {
    @Test(.simulated(seeds: 0..<30), arguments: TransportPromise.allCases)
    func `over simulated TCP`(_ promise: TransportPromise) async throws {
        try await checkTransport(.only(promise)) { body in
            try await withConnectedPair { client, server in try await body(client, server) }
        }
    }

    @Test(.simulated(seeds: 0..<30), arguments: TransportPromise.allCases)
    func `over simulated Unix sockets`(_ promise: TransportPromise) async throws {
        var options = TransportCheckOptions.only(promise)
        options.abortIsReset = false
        try await checkTransport(options) { body in
            try await withConnectedPair(over: .unix) { client, server in try await body(client, server) }
        }
    }
}

extension TransportCheckOptions {
    /// One promise, of connections over the simulated kernel.
    static func only(_ promise: TransportPromise) -> Self {
        var options = Self()
        options.promises = [promise]
        options.bufferedByteCountMax = 512 << 10
        return options
    }
}
