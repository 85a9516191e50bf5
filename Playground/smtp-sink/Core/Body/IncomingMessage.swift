// A message on its way from the connection to the store: what the decoder hands out is looked at here,
// gathered, and written a piece at a time.

import AIO

/// One message that is being received. Belongs to its handler, and is used by one call at a time.
///
/// Holds at most `pieceByteCount` bytes and what one read brings: copies, because slices would keep the
/// memory that they were received in, and of a client that sends single bytes each could keep another slab.
/// Once it is known that the message will not be taken, it holds and stores nothing more; the handler goes on
/// reading, since the client will not stop.
final class IncomingMessage {
    private let byteCountMax: Int
    private let tooLarge: Reply
    private let draft: any MessageDraft
    private var inspector = TextInspector()
    private var pending: [UInt8] = []
    private(set) var byteCount = 0
    /// Why the message is not taken.
    private(set) var refusal: Reply?

    private static let pieceByteCount = 64 << 10

    init(into draft: any MessageDraft, rules: SessionRules) {
        self.draft = draft
        byteCountMax = rules.messageByteCountMax
        tooLarge = rules.tooLarge
    }

    /// Suspends while a piece is written. Throws `CancellationError` alone: other failures become the
    /// refusal.
    func append(_ text: [Bytes]) async throws {
        guard refusal == nil else { return }
        for slice in text {
            inspector.inspect(slice)
            byteCount += slice.count
            pending += slice
        }
        if let problem { return await refuse(problem) }
        if pending.count >= Self.pieceByteCount { try await write(isLast: false) }
    }

    /// No more will come. Returns what the client is told: 250 if, and only if, the message is stored.
    func ended() async throws -> Reply {
        inspector.ended()
        if refusal == nil, let problem { await refuse(problem) }
        if refusal == nil { try await write(isLast: true) }
        return refusal ?? Reply(250, "2.0.0", "taken as \(draft.id)")
    }

    /// Leaves nothing behind.
    func drop() async { await draft.discard() }

    private var problem: Reply? {
        if byteCount > byteCountMax { return tooLarge }
        return switch inspector.problem {
        case .longLine:
            Reply(500, "5.5.2", "a line may have \(TextInspector.lineByteCountMax) bytes, with its ending")
        case .bareNewline: Reply(550, "5.5.2", "lines end with CR LF, and neither stands by itself")
        case nil: nil
        }
    }

    private func write(isLast: Bool) async throws {
        let piece = Bytes(pending)
        pending = []
        do {
            try await draft.write(piece, isLast: isLast)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            await refuse(Reply(451, "4.3.0", "the message could not be stored; try again later"))
        }
    }

    private func refuse(_ reply: Reply) async {
        refusal = reply
        pending = []
        await draft.discard()
    }
}
