// How much a recording may take: of the disk, or of memory, and of memory while it waits for the disk.

import AIOKernel

/// Limits of one recording. At each of them the recording ends, with a line that says so; the connection goes on.
public struct RecordingLimits: Sendable, Hashable {
    /// Bytes of its text, the last line included.
    public var byteCountMax = 64 << 20
    /// Bytes of its text that may wait for the disk.
    public var unwrittenByteCountMax = 4 << 20

    public init() {}

    func validate() throws(AIOError) {
        for (name, value) in [
            ("byteCountMax", byteCountMax), ("unwrittenByteCountMax", unwrittenByteCountMax),
        ] where value < Self.least {
            throw AIOError(
                .invalidArgument, detail: "\(name) is \(value), but must be at least \(Self.least)")
        }
    }

    /// A header with the longest addresses, and an ending.
    private static let least = 4_096
}
