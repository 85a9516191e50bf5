// Where messages go. `FileStore` keeps them; `CountingStore`, here, looks at them no more once they have been
// received.

public import AIO

/// Takes messages. Shared by all connections.
public protocol MessageStore: Sendable {
    /// A message is about to come. Touches no disk yet.
    /// - Parameters:
    ///   - header: what the server puts before it (see `TraceHeader`), of the identifier it will have.
    ///   - aio: whose threads do what blocks.
    func begin(on aio: Proactor, header: (_ id: String) -> Bytes) -> any MessageDraft
}

/// A message that is not stored yet. One call at a time.
public protocol MessageDraft: Sendable {
    /// What it is called, in replies and in its Received: line.
    var id: String { get }
    /// Adds to the message; with `isLast` it is stored for good when this returns.
    func write(_ piece: Bytes, isLast: Bool) async throws
    /// Leaves nothing behind. Does nothing to a message that is stored.
    func discard() async
}

/// Stores nothing.
public struct CountingStore: MessageStore {
    private let ids: MessageIDs

    public init(ids: MessageIDs = MessageIDs()) { self.ids = ids }

    public func begin(on aio: Proactor, header: (_ id: String) -> Bytes) -> any MessageDraft {
        CountedDraft(id: ids.next())
    }

    private struct CountedDraft: MessageDraft {
        let id: String
        func write(_ piece: Bytes, isLast: Bool) async throws {}
        func discard() async {}
    }
}
