// Datagrams on their way out: filled from a socket's queue, given to `Kernel.sendDatagrams`. One batch is
// owned by a worker and reused for every socket, so that sending allocates nothing.

package import AIOBytes
internal import CAIOLinux

/// Up to 32 datagrams for one sendmmsg(2). It owns their bytes, so what a kernel reads stays alive until
/// `removeAll`.
@safe package final class OutboundDatagrams {
    package static let countMax = Int(CAIO_DATAGRAM_BATCH_MAX)

    package private(set) var payloads: [Bytes] = []
    private let departures: UnsafeMutablePointer<caio_datagram_departure>

    package init() {
        payloads.reserveCapacity(Self.countMax)
        unsafe departures = .allocate(capacity: Self.countMax)
        unsafe departures.initialize(repeating: caio_datagram_departure(), count: Self.countMax)
    }

    deinit {
        // SAFETY: allocated in `init`, and nobody else has this address.
        unsafe departures.deallocate()
    }

    package var count: Int { payloads.count }
    package var isFull: Bool { count >= Self.countMax }

    /// Adds a datagram to `target`, an IP address and port; nil is where the socket is connected.
    package func append(_ bytes: Bytes, to target: Endpoint?) throws(AIOError) {
        precondition(!isFull, "a batch holds \(Self.countMax) datagrams")
        var departure = unsafe caio_datagram_departure()
        if let target {
            let address = try SocketAddress(target, family: SocketAddress.family(of: target))
            let isUnix = target.isUnix
            guard !isUnix else { throw AIOError(.invalidArgument, detail: "\(target) is no IP address") }
            // SAFETY: an IP address has at most CAIO_DATAGRAM_ADDRESS_MAX bytes, and is read before the
            // closures return.
            unsafe address.withBytes { from, byteCount in
                unsafe withUnsafeMutableBytes(of: &departure.address) { to in
                    unsafe to.copyMemory(
                        from: UnsafeRawBufferPointer(start: from, count: Int(byteCount)))
                }
                unsafe departure.address_byte_count = byteCount
            }
        }
        // SAFETY: `payloads` keeps the bytes alive for as long as the departure counts.
        unsafe departure.bytes = bytes.baseAddress
        unsafe departure.byte_count = bytes.count
        unsafe departures[count] = departure
        payloads.append(bytes)
    }

    /// Where the datagram at `index` goes; nil is where the socket is connected. For kernels that are simulated.
    package func target(at index: Int) -> Endpoint? {
        precondition(index < count, "a batch of \(count) datagrams has no number \(index)")
        // SAFETY: the first `count` departures were filled by `append`.
        let departure = unsafe departures[index]
        guard unsafe departure.address_byte_count > 0 else { return nil }
        return unsafe withUnsafeBytes(of: departure.address) { bytes in
            let used = unsafe UnsafeRawBufferPointer(
                rebasing: bytes.prefix(Int(departure.address_byte_count)))
            // SAFETY: the span is read before the closure returns.
            return unsafe SocketAddress(copying: used.bytes).endpoint
        }
    }

    package func removeAll() { payloads.removeAll(keepingCapacity: true) }

    /// One sendmmsg(2): how many the kernel took, or what is wrong with the first.
    func send(to socket: Int32) -> CallResult {
        guard !payloads.isEmpty else { return CallResult(rawValue: 0) }
        return withExtendedLifetime(payloads) {
            while true {
                // SAFETY: the first `count` departures were filled by `append` from bytes that are alive.
                let result = CallResult(
                    rawValue: unsafe caio_send_datagrams(socket, departures, CInt(count)))
                if !result.wasInterrupted { return result }
            }
        }
    }
}
