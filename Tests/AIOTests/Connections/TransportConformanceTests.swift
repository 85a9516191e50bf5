// What every transport promises, kept by connections over Linux's own sockets: the same list that the
// simulated kernel is held to (AIOTestingTests), so that it cannot drift away from this one.

import AIO
import AIOTesting
import Glibc
import Testing

/// What carries the connections, and where their program runs.
private enum Ground: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case tcpOnWorker = "TCP, on the worker"
    case tcpElsewhere = "TCP, on the global executor"
    case tcpOnPartner = "TCP, on the partner"
    case unixOnWorker = "Unix sockets, on the worker"
    case unixElsewhere = "Unix sockets, on the global executor"

    var isUnix: Bool { self == .unixOnWorker || self == .unixElsewhere }

    var executor: HandlerExecutor {
        switch self {
        case .tcpOnWorker, .unixOnWorker: .worker
        case .tcpOnPartner: .partner
        case .tcpElsewhere, .unixElsewhere: .global
        }
    }

    /// Abstract names are the machine's: another run of the tests has another.
    var endpoint: String { isUnix ? "unix:@aio-tests-conformance-\(getpid())" : "127.0.0.1:0" }
    var testDescription: String { rawValue }
}

extension Loopback {
    @Suite struct TransportConformanceTests {
        @Test(arguments: TransportPromise.allCases, Ground.allCases)
        fileprivate func `a connection keeps its promises`(_ promise: TransportPromise, on ground: Ground)
            async throws
        {
            var options = TransportCheckOptions()
            options.promises = [promise]
            // There are no resets of Unix sockets.
            options.abortIsReset = !ground.isUnix
            try await checkTransport(options, seed: testSeed()) { body in
                try await withPair(on: ground, body)
            }
        }
    }
}

/// Both ends of a connection of one proactor. `body` is the code of the client's end, and the handler of the
/// other holds it.
private func withPair(
    on ground: Ground, _ body: @escaping @Sendable (Connection, Connection) async throws -> Void
) async throws {
    try await withProactor(.testing()) { aio in
        let server = try await aio.listen(on: ground.endpoint, options: .testing(ground.executor))
        let accepted = Promise<Connection>(), isDone = Promise<Void>()
        async let report = server.serve { connection in
            accepted.put(connection)
            await isDone.value()
        }
        var options = ClientOptions()
        options.executor = ground.executor
        let result = await outcome { [options] in
            try await aio.connect(to: server.endpoint, options: options) { client in
                try await body(client, accepted.value())
            }
        }
        isDone.put(())
        server.drain(within: .seconds(5))
        _ = try await report
        try result.get()
    }
}
