// More connections than a server takes: what Linux tells the peers in excess. When others may come, and the other limits, are
// in Tests/AIOSimulatedTests/Servers/OverloadTests.swift.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

extension Loopback {
    @Suite struct OverloadTests {
        private static let refusals: [ServerOptions.Refusal] = [.close, .reset, .reply("421 too many\r\n")]

        @Test(arguments: refusals) func `who comes above the limit sees what was chosen`(
            refusal: ServerOptions.Refusal
        ) async throws {
            try await withProactor(.testing()) { aio in
                let options = ServerOptions.testing {
                    $0.connectionsMax = 3
                    $0.refusal = refusal
                }
                let serving = try await aio.serving(options) { try await $0.echo() }
                let endpoint = serving.endpoint
                try await onThread { () throws in
                    let inside = try (0..<3).map { _ in try RawPeer(connectingTo: endpoint) }
                    for peer in inside { #expect(try peer.exchange("in") == "in") }
                    for _ in 0..<5 {
                        // A reset may come before the caller looks whether it is connected.
                        let outside = try RawPeer(connectingTo: endpoint, waits: false)
                        try Self.expect(refusal, at: outside)
                        outside.close()
                    }
                    for peer in inside { #expect(try peer.exchange("still in") == "still in") }
                    for peer in inside { peer.close() }
                }
                let report = try await serving.drained()
                #expect(report.accepted == 3 && report.completed == 3 && report.refused == 5)
            }
        }

        private static func expect(_ refusal: ServerOptions.Refusal, at peer: RawPeer) throws {
            switch refusal {
            case .close: #expect(try peer.seesEnd())
            case .reset: #expect(peer.seesReset())
            case .reply(let reply):
                #expect(try Bytes(peer.receiveToEnd()) == reply)
            }
        }
    }
}
