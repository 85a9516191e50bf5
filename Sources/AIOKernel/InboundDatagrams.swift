// Datagrams on their way in: filled by `Kernel.receiveDatagrams`, read by DatagramCore, which copies what it
// keeps into slabs. One batch is owned by a worker and reused for every socket.

package import AIOBytes
internal import CAIOLinux

/// Up to 32 datagrams of one recvmmsg(2).
///
/// Each place is as long as the longest datagram, so that nothing is cut off for want of room; two megabytes
/// of addresses, of which the system gives memory only to pages that a datagram has touched. Receiving
/// directly into slabs was rejected: 32 small datagrams would then hold 32 places of 64 KiB.
@safe package final class InboundDatagrams {
    package static let countMax = Int(CAIO_DATAGRAM_BATCH_MAX)
    /// Of one place. An IPv6 datagram without jumbograms carries at most 65,527 bytes (RFC 8200, RFC 768).
    package static let placeByteCount = 65_536

    private let memory: UnsafeMutableRawPointer
    private let arrivals: UnsafeMutablePointer<caio_datagram_arrival>
    package private(set) var count = 0
    /// How many datagrams the kernel has dropped since the socket was made, modulo 2³²; nil if it did not say,
    /// which means none so far.
    package private(set) var kernelDropCount: UInt32?

    package init() {
        unsafe memory = .allocate(
            byteCount: Self.countMax * Self.placeByteCount, alignment: 4_096)
        unsafe arrivals = .allocate(capacity: Self.countMax)
        unsafe arrivals.initialize(repeating: caio_datagram_arrival(), count: Self.countMax)
    }

    deinit {
        // SAFETY: allocated in `init`, and nobody else has these addresses.
        unsafe memory.deallocate()
        unsafe arrivals.deallocate()
    }

    package func byteCount(at index: Int) -> Int { Int(arrival(index).byte_count) }
    package func isTruncated(at index: Int) -> Bool { arrival(index).is_truncated != 0 }

    /// Where it came from; nil if that is no IP address.
    package func sender(at index: Int) -> Endpoint? {
        let arrival = arrival(index)
        return unsafe withUnsafeBytes(of: arrival.address) { bytes in
            let used = unsafe UnsafeRawBufferPointer(
                rebasing: bytes.prefix(Int(arrival.address_byte_count)))
            // SAFETY: the span is read before the closure returns.
            return unsafe SocketAddress(copying: used.bytes).endpoint
        }
    }

    /// A copy of its bytes in `slabs`.
    package func copy(at index: Int, into slabs: SlabPool) -> Bytes {
        // SAFETY: the kernel has written this many bytes there, and a place has room for them.
        let bytes = unsafe UnsafeRawBufferPointer(
            start: memory + index * Self.placeByteCount, count: byteCount(at: index))
        return unsafe slabs.copyIn(bytes.bytes)
    }

    private func arrival(_ index: Int) -> caio_datagram_arrival {
        precondition(index < count, "a batch of \(count) datagrams has no number \(index)")
        // SAFETY: all places are initialised.
        return unsafe arrivals[index]
    }

    // MARK: Filling

    package var isFull: Bool { count >= Self.countMax }

    package func removeAll() {
        count = 0
        kernelDropCount = nil
    }

    /// Adds a datagram, as recvmmsg(2) would; of more than `byteCountMax` bytes the rest is cut off. For kernels that
    /// are simulated.
    package func append(_ bytes: Bytes, from sender: Endpoint, atMost byteCountMax: Int) throws(AIOError) {
        precondition(!isFull, "a batch holds \(Self.countMax) datagrams")
        let address = try SocketAddress(sender, family: SocketAddress.family(of: sender))
        let kept = min(bytes.count, byteCountMax, Self.placeByteCount)
        var arrival = caio_datagram_arrival()
        arrival.byte_count = UInt32(kept)
        arrival.is_truncated = kept < bytes.count ? 1 : 0
        // SAFETY: at most as many bytes are copied as both sides have, and `address` is read before the closures return.
        unsafe address.withBytes { from, byteCount in
            unsafe withUnsafeMutableBytes(of: &arrival.address) { to in
                let used = min(Int(byteCount), to.count)
                unsafe to.copyMemory(from: UnsafeRawBufferPointer(start: from, count: used))
                arrival.address_byte_count = UInt32(used)
            }
        }
        if kept > 0, let from = unsafe bytes.baseAddress {
            // SAFETY: `bytes` is alive until the call returns, and a place has room for `kept` bytes.
            unsafe (memory + count * Self.placeByteCount).copyMemory(from: from, byteCount: kept)
        }
        unsafe arrivals[count] = arrival
        count += 1
    }

    /// Says how many datagrams a simulated kernel has dropped.
    package func note(kernelDropCount drops: UInt32) { kernelDropCount = drops == 0 ? nil : drops }

    /// One recvmmsg(2), of which each datagram may bring `byteCountMax` bytes.
    func fill(from socket: Int32, atMost byteCountMax: Int) -> CallResult {
        var drops: UInt32 = 0
        // SAFETY: there are `countMax` places in both columns, and none is filled beyond its length.
        let result = CallResult(
            rawValue: unsafe caio_receive_datagrams(
                socket, memory, Self.placeByteCount, min(byteCountMax, Self.placeByteCount),
                CInt(Self.countMax), arrivals, &drops))
        count = result.count
        kernelDropCount = drops == 0 ? nil : drops
        return result
    }
}
