// The inside of a proxy at full speed over real sockets. Ends, resets, slowness and cancelling are tested in simulation.

import AIO
import Testing

extension Loopback {
    @Suite struct RelayTests {
        @Test(arguments: HandlerExecutor.all)
        func `bytes go both ways at once, and are counted`(_ executor: HandlerExecutor) async throws {
            let forward = isSanitized ? 1 << 20 : 8 << 20
            let backward = forward / 2 + 1
            let upstream = try RawListener()
            let endpoint = upstream.endpoint
            var clientOptions = ClientOptions()
            clientOptions.executor = executor
            let report = try await serving(.testing(executor)) { [clientOptions] first in
                try await first.proactor!.connect(to: endpoint, options: clientOptions) { second in
                    try await relay(first, second)
                }
            } peer: { client, _ in
                let far = try await onThread { try upstream.accept() }
                async let received = far.receivePattern()
                async let receivedBack = client.receivePattern()
                async let sentBack: Void = far.sendPattern(backward)
                try await client.sendPattern(forward)
                try await sentBack
                client.finish()
                far.finish()
                #expect(try await received == forward)
                #expect(try await receivedBack == backward)
                far.close()
            }
            upstream.close()
            var expected = RelayReport()
            expected.forward = UInt64(forward)
            expected.backward = UInt64(backward)
            #expect(report == expected)
        }
    }
}
