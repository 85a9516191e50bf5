// A plain UDP socket beside the engine: it sends while the engine's worker stands still.

import AIOBytes
import AIOKernel

final class RawDatagrams {
    private let kernel = LinuxKernel()
    private let socket: Descriptor

    init(connectedTo endpoint: Endpoint) throws {
        socket = try kernel.makeDatagramSocket(for: endpoint)
        if let errno = kernel.connect(socket, to: endpoint).errno { throw errno }
    }

    /// Sends zeros; returns how many datagrams the kernel took.
    @discardableResult
    func send(count: Int, byteCount: Int) -> Int {
        let payload = Bytes([UInt8](repeating: 0, count: byteCount))
        var accepted = 0
        for _ in 0..<count where kernel.send(payload, to: socket).isSuccess { accepted += 1 }
        return accepted
    }
}
