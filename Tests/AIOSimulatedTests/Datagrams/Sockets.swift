// What tests of datagrams share: a pair of sockets, and kernels that take or give nothing for a while.

import AIO
import AIOKernel
import AIOTesting
import SystemPackage
import Testing

/// A socket on the host "program", and one that is connected to it.
struct Sockets {
    let world: Simulation
    let aio: Proactor
    let server: DatagramSocket
    let client: DatagramSocket

    /// From now on until what is returned ends, the kernel takes nothing of what `client` sends; within a millisecond after
    /// that it does.
    func stopSending() -> FaultRule { stop(.sendDatagrams, of: client) }

    /// The same for what `socket` could receive.
    func stopReceiving(of socket: DatagramSocket) -> FaultRule { stop(.receiveDatagrams, of: socket) }

    private func stop(_ call: SimulatedCall.Name, of socket: DatagramSocket) -> FaultRule {
        let endpoint = socket.endpoint
        return world.host("program").faults.add {
            $0.name == call && $0.local == endpoint ? .fail(.resourceTemporarilyUnavailable) : nil
        }
    }
}

func withSockets(
    server: DatagramOptions = DatagramOptions(), client: DatagramOptions = DatagramOptions(),
    within limit: Duration = .seconds(4), configure: (inout Proactor.Configuration) -> Void = { _ in },
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (Sockets) async throws -> Void
) async throws {
    try await withProgram(within: limit, configure: configure, sourceLocation: sourceLocation) { world, aio in
        let bound = try await aio.bind(udp: "127.0.0.1:0", options: server)
        let connected = try await aio.connect(udp: bound.endpoint, options: client)
        try await body(Sockets(world: world, aio: aio, server: bound, client: connected))
    }
}

extension DatagramOptions {
    static func with(_ change: (inout Self) -> Void) -> Self {
        var options = Self()
        change(&options)
        return options
    }
}

extension Datagram {
    /// The number that it is the text of.
    var number: Int? { Int(String(decoding: bytes, as: UTF8.self)) }
}

extension DatagramOutcome {
    var refusal: AIOError.Code? { if case .refused(let error) = self { error.code } else { nil } }
}
