// The trace of a run, as a person reads it: a line a hop, in the order of a byte's way.

import AIO
import Testing

@testable import AIOTesting

extension SimulationTrace {
    /// The hops of a connection, in order.
    fileprivate func hops(of connection: Int) -> [String] {
        lines.filter { $0.isHop && $0.subject == connection }.map(\.what)
    }
}

@Suite struct TraceTests {
    /// An echo of two bytes and an end, to a handler.
    private static func trace(_ executor: HandlerExecutor) async throws -> SimulationTrace {
        var options = ServerOptions()
        options.executor = executor
        let chosen = options
        let simulation = Simulation(seed: 0)
        try await simulation.run { _ in
            try await withMockPeer(
                options: chosen,
                serving: { connection in
                    for try await bytes in connection.chunks { try await connection.write(bytes) }
                }
            ) { peer in
                await peer.settle()
                try await peer.send("hi")
                try await peer.expect("hi")
                peer.halfClose()
                try await peer.expectEnd()
            }
        }
        return simulation.trace
    }

    @Test func `an echo on the worker goes from the kernel to its task and back`() async throws {
        let trace = try await Self.trace(.worker)
        let hops = trace.hops(of: try #require(trace.lines.first { $0.isHop }?.subject))
        #expect(hops == ["kernel→worker", "resume", "write", "worker→kernel", "resume", "closed"])
        let first = try #require(trace.lines.first { $0.isHop })
        #expect(first.description.contains("server/aio-0  kernel→worker  connection"))
        #expect(first.description.hasSuffix(", 2 bytes"))
    }

    @Test func `with a partner it goes through the completion list`() async throws {
        let trace = try await Self.trace(.partner)
        let hops = trace.hops(of: try #require(trace.lines.first { $0.isHop }?.subject))
        #expect(hops.prefix(5) == ["kernel→worker", "completion", "write", "worker→kernel", "completion"])
    }

    @Test func `a failure shows the last hops, and not whose turn it was`() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await Simulation(seed: 0).run { world in
                try await withMockPeer(serving: { _ = try await $0.read(exactly: 3) }) { peer in
                    try await peer.send("hi")
                    try await world.wait(for: "what does not come", within: .seconds(3_600)) { false }
                }
            }
        }
        let text = try #require(error?.description)
        #expect(text.contains("kernel→worker  connection") && !text.contains("  step "))
    }
}
