// Datagram sockets in memory, as far as sending goes: udp(7), sendmmsg(2). What a socket has taken lies in its send
// buffer until a test lets it leave, and from then on in a list; nothing ever arrives.

import AIOBytes
package import AIOKernel
import SystemPackage

/// A UDP socket.
///
/// Linux (sock_writeable, sock_def_write_space) takes datagrams until the buffer is full, but says that the socket is
/// writable only while less than half of it is in use; and each datagram that leaves is an edge if no more than half is
/// then. Both in datagrams here, in bytes there.
final class SimulatedDatagramSocket: SimulatedFile {
    let bufferMax: Int
    var local: Endpoint?
    private(set) var buffered: [Bytes] = []
    /// What has left, in order.
    private(set) var departed: [Bytes] = []
    /// Calls that found the buffer full.
    private(set) var refusalCount = 0

    init(bufferMax: Int) { self.bufferMax = bufferMax }

    override func poll() -> Readiness { buffered.count * 2 < bufferMax ? .writable : [] }

    /// As many of `payloads` as fit.
    func take(_ payloads: [Bytes]) -> CallResult {
        let taken = payloads.prefix(bufferMax - buffered.count)
        buffered += taken
        if !taken.isEmpty || payloads.isEmpty { return CallResult(rawValue: taken.count) }
        refusalCount += 1
        return CallResult(.resourceTemporarilyUnavailable)
    }

    /// The first of those in the buffer leaves. False if there is none.
    @discardableResult
    func depart() -> Bool {
        guard !buffered.isEmpty else { return false }
        departed.append(buffered.removeFirst())
        if buffered.count * 2 <= bufferMax { changed(.writable) }
        return true
    }
}

extension SimulatedKernel {
    package func makeDatagramSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor {
        try openOrThrow(SimulatedDatagramSocket(bufferMax: options.sendBufferDatagramsMax), call: "socket")
    }

    package func set(_ option: DatagramSocketOption, on socket: borrowing Descriptor) throws(AIOError) {
        if isDatagramSocket(socket.number) { return }
        trace.violation("setsockopt of \(socket.number), which is no datagram socket")
    }

    /// Those that are open, in the order of their numbers.
    var datagramSockets: [SimulatedDatagramSocket] { table.compactMap { $0 as? SimulatedDatagramSocket } }

    func isDatagramSocket(_ number: Int32) -> Bool { datagramSocket(number) != nil }

    /// nil for a stream socket, of which calls that know both ask then.
    func datagramSocket(_ number: Int32) -> SimulatedDatagramSocket? {
        table.indices.contains(Int(number)) ? table[Int(number)] as? SimulatedDatagramSocket : nil
    }

    package func sendDatagrams(_ batch: OutboundDatagrams, to socket: borrowing Descriptor) -> CallResult {
        let number = socket.number
        guard let file = file(number, as: SimulatedDatagramSocket.self, for: "sendmmsg") else {
            return CallResult(.badFileDescriptor)
        }
        preempt()
        let result = file.take(batch.payloads)
        trace.note("sendmmsg of \(batch.count)", Int(number), result.rawValue)
        if result.count > 0 { noteActivity() }
        preempt()
        return result
    }

    package func receiveDatagrams(
        from socket: borrowing Descriptor, into batch: InboundDatagrams, atMost byteCountMax: Int
    ) -> CallResult { CallResult(.resourceTemporarilyUnavailable) }
}
