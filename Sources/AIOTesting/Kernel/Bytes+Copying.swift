// Bytes into an array at the price of a memcpy: what the simulated kernel does with everything that is sent.

import AIOBytes

extension [UInt8] {
    /// Appends a copy in one go. `+=` goes byte by byte, which in a debug build is most of what a simulation
    /// does.
    mutating func append(copying bytes: Bytes) {
        // SAFETY: the buffer is read before the closure returns.
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}
