// What has come, in numbers.

import Synchronization

/// Counted by handlers on any thread, read by whoever asks. No count depends on another, so all orderings are
/// relaxed.
public final class SinkCounts: Sendable, CustomStringConvertible {
    private let sessions = Atomic<Int>(0)
    private let messages = Atomic<Int>(0)
    private let recipients = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)

    func sessionBegan() { sessions.wrappingAdd(1, ordering: .relaxed) }

    func messageTaken(byteCount: Int, recipientCount: Int) {
        messages.wrappingAdd(1, ordering: .relaxed)
        recipients.wrappingAdd(recipientCount, ordering: .relaxed)
        bytes.wrappingAdd(byteCount, ordering: .relaxed)
    }

    func messageRefused() { refused.wrappingAdd(1, ordering: .relaxed) }

    public var messageCount: Int { messages.load(ordering: .relaxed) }
    /// Messages that came, and were not taken.
    public var refusedCount: Int { refused.load(ordering: .relaxed) }

    public var description: String {
        """
        sessions \(sessions.load(ordering: .relaxed)) messages \(messageCount) \
        recipients \(recipients.load(ordering: .relaxed)) bytes \(bytes.load(ordering: .relaxed)) \
        refused \(refusedCount)
        """
    }
}
