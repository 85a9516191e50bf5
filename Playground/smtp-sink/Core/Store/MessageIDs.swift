// Names for messages, unique among the processes of a machine.

import Glibc
import Synchronization

/// Hands out `SECONDS-PROCESS-NUMBER`: when it was made (since 1970), the process, and a count. Sorted, they
/// are in the order in which messages began to come.
public final class MessageIDs: Sendable {
    private let prefix: String
    /// Any thread adds; nothing else depends on the order.
    private let count = Atomic<Int>(0)

    public init() { prefix = "\(time(nil))-\(getpid())" }

    func next() -> String {
        let digits = String(count.wrappingAdd(1, ordering: .relaxed).newValue)
        return "\(prefix)-\(String(repeating: "0", count: max(0, 6 - digits.count)))\(digits)"
    }
}
