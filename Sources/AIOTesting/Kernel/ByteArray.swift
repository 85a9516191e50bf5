// How bytes get into the arrays that sockets and scripts of a simulation keep them in.

import AIOBytes

extension [UInt8] {
    /// All at once: as a sequence they would be taken one by one, which is most of what a simulated test costs.
    mutating func append(_ bytes: Bytes) {
        // SAFETY: the pointer is not used after the call.
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}
