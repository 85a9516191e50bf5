// Stores for tests: one that keeps messages in memory, and can be made to fail.

import AIO
import SMTPSinkCore
import Synchronization

/// Keeps what it is given. `failsAtWrite`: which write of each message fails, counted from 1.
final class MemoryStore: MessageStore {
    struct Failed: Error {}

    private struct Contents {
        var messages: [Bytes] = []
        var headers: [Bytes] = []
        var discardedCount = 0
    }

    private let contents = Mutex(Contents())
    private let failsAtWrite: Int?

    init(failsAtWrite: Int? = nil) { self.failsAtWrite = failsAtWrite }

    var messages: [Bytes] { contents.withLock { $0.messages } }
    var headers: [Bytes] { contents.withLock { $0.headers } }
    var discardedCount: Int { contents.withLock { $0.discardedCount } }

    func empty() { contents.withLock { $0 = Contents() } }

    func begin(on aio: Proactor, header: (_ id: String) -> Bytes) -> any MessageDraft {
        Draft(store: self, header: header("id"), failsAtWrite: failsAtWrite)
    }

    private final class Draft: MessageDraft {
        let id = "id"
        private let store: MemoryStore
        private let header: Bytes
        private let failsAtWrite: Int?
        private let pieces = Mutex<(all: [Bytes], writeCount: Int)>(([], 0))

        init(store: MemoryStore, header: Bytes, failsAtWrite: Int?) {
            self.store = store
            self.header = header
            self.failsAtWrite = failsAtWrite
        }

        func write(_ piece: Bytes, isLast: Bool) async throws {
            let (all, count) = self.pieces.withLock { own in
                own.all.append(piece)
                own.writeCount += 1
                return (own.all, own.writeCount)
            }
            if count == failsAtWrite { throw Failed() }
            guard isLast else { return }
            store.contents.withLock {
                $0.messages.append(Bytes(joining: all))
                $0.headers.append(header)
            }
        }

        func discard() async { store.contents.withLock { $0.discardedCount += 1 } }
    }
}
