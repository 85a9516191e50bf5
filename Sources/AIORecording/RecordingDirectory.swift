// A file a connection, in one directory: names for recordings, and a limit to how many there are.

public import AIOKernel
public import SystemPackage
import Glibc
import Synchronization

/// Makes recorders whose files lie in one directory.
///
/// The names are `SECONDS-PROCESS-NUMBER.recording`: when the directory object was made (of the system's clock, since 1970),
/// the process, and the connection's number in it. Sorted, they are in the order in which connections came.
public final class RecordingDirectory: Sendable {
    public let path: FilePath
    private let limits: RecordingLimits
    private let recordingsMax: Int
    private let prefix: String
    /// Recorders made; any thread adds.
    private let count = Atomic<Int>(0)

    /// - Parameter recordingsMax: how many recordings this object makes. With the limits of each, that limits what they take
    ///   of the disk.
    /// - Throws: what open(2) says of the directory, which must be there.
    public init(
        _ path: FilePath, limits: RecordingLimits = RecordingLimits(), recordingsMax: Int = 1_000
    ) throws(AIOError) {
        try limits.validate()
        _ = try OpenFile(path, for: .looking)
        self.path = path
        self.limits = limits
        self.recordingsMax = recordingsMax
        prefix = "\(time(nil))-\(getpid())"
    }

    /// A recorder for one more connection; nil if there are `recordingsMax`.
    public func makeRecorder() -> ConnectionRecorder? {
        let number = count.wrappingAdd(1, ordering: .relaxed).newValue
        guard number <= recordingsMax else { return nil }
        let digits = String(number)
        let zeros = String(repeating: "0", count: max(0, 6 - digits.count))
        return ConnectionRecorder(
            to: path.appending("\(prefix)-\(zeros)\(digits).recording"), limits: limits)
    }
}
