// The hot path: a connection from the queue, bytes in, bytes out. Called by a worker after readiness; answers
// are counts or error numbers; nothing throws, and nothing allocates but the name of a Unix peer.

package import AIOBytes
internal import CAIOLinux
internal import Glibc
package import SystemPackage

extension LinuxKernel {
    package func accept(from listener: borrowing Descriptor) -> AcceptResult {
        let number = listener.number
        while true {
            // SAFETY: the call writes at most as many bytes as it is told there is room for.
            let (address, result) = unsafe SocketAddress.filled {
                CallResult(rawValue: unsafe caio_accept(number, $0, &$1))
            }
            guard let errno = result.errno else {
                let connection = Descriptor(number: Int32(truncatingIfNeeded: result.count), kernel: self)
                return .accepted(connection, peer: address.endpoint ?? .unnamed)
            }
            if errno != .interrupted { return Self.refusal(errno) }
        }
    }

    /// accept(2), "Error handling": Linux passes errors that are already pending on the *new* socket out of
    /// accept; they say nothing about the listener.
    package static func refusal(_ errno: Errno) -> AcceptResult {
        switch errno.rawValue {
        case EAGAIN: .wouldBlock
        case ECONNABORTED, EPERM, EPROTO, ENOPROTOOPT, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH, ENONET,
            EOPNOTSUPP, ETIMEDOUT, ECONNRESET:
            .skipped(errno)
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: .exhausted(errno)
        default: .failed(errno)
        }
    }

    package func receive(from socket: borrowing Descriptor, into span: inout OutputRawSpan) -> CallResult {
        precondition(span.freeCapacity > 0, "receiving into a full span would look like the peer's end")
        let number = socket.number
        return unsafe span.withUnsafeMutableBytes { buffer, initializedCount in
            let free = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[initializedCount...])
            while true {
                // SAFETY: the call writes at most `free.count` bytes at its start; only what it wrote is
                // counted.
                let result = CallResult(
                    rawValue: unsafe caio_receive(number, free.baseAddress, free.count))
                if result.wasInterrupted { continue }
                initializedCount += result.count
                return result
            }
        }
    }

    package func send(_ batch: WriteBatch, to socket: borrowing Descriptor) -> CallResult {
        let number = socket.number
        switch batch.parts.count {
        case 0: return CallResult(rawValue: 0)
        case 1: return send(batch.parts[0], to: socket)
        default: return sendAll(batch.parts, to: number)
        }
    }

    package func send(_ part: Bytes, to socket: borrowing Descriptor) -> CallResult {
        let number = socket.number
        return withExtendedLifetime(part) {
            while true {
                // SAFETY: `part` is alive until the closure ends, and its address is good for `count` bytes.
                let result = CallResult(
                    rawValue: unsafe caio_send(number, part.baseAddress, part.count))
                if !result.wasInterrupted { return result }
            }
        }
    }

    private func sendAll(_ parts: [Bytes], to number: Int32) -> CallResult {
        unsafe withUnsafeTemporaryAllocation(of: caio_part.self, capacity: parts.count) { vector in
            for index in parts.indices {
                // SAFETY: `parts` is alive until the call below has returned: it is extended there.
                unsafe vector.initializeElement(
                    at: index, to: caio_part(bytes: parts[index].baseAddress, byte_count: parts[index].count))
            }
            return withExtendedLifetime(parts) {
                while true {
                    // SAFETY: every element was filled above from a part that is alive.
                    let result = CallResult(
                        rawValue: unsafe caio_send_parts(number, vector.baseAddress, vector.count))
                    if !result.wasInterrupted { return result }
                }
            }
        }
    }

    package func finishWriting(_ socket: borrowing Descriptor) -> CallResult {
        CallResult(rawValue: caio_shutdown_write(socket.number))
    }
}
