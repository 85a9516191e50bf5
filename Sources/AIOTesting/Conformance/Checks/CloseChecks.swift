// Checks of a transport: what a close, and an abort, do to what was written, to what waits, and to what was
// not read.

import AIO
import AIOBytes
import AIOKernel
import Synchronization

extension TransportCheck {
    // MARK: What was written before a close

    func closeBehindMuch() async throws {
        try await closeBehind(byteCount: 4 * options.byteCount)
    }

    /// All of it waits to be sent when the close comes.
    func closeBehindLittle() async throws {
        var random = random
        try await closeBehind(byteCount: random.number(in: 1...fewBytes))
    }

    private func closeBehind(byteCount: Int) async throws {
        var random = random
        let draws = (0..<3).map { _ in random.split() }
        try await together(
            {
                // So that there are bytes that nobody has read, wherever the transport keeps them.
                if options.closeOutlivesUnreadBytes { try await pause() }
                try await out.write(upTo: byteCount, drawing: draws[0])
                try await close(near)
            },
            {
                try await pause()
                try await pause()
                try await out.readToEnd(drawing: draws[1])
            },
            { if options.closeOutlivesUnreadBytes { try await writeUnread(drawing: draws[2]) } })
        try out.expectAllTaken()
        guard out.taken == byteCount else {
            try record.fail("\(byteCount) bytes were written, and \(out.taken) came")
        }
        try await close(far)
    }

    /// What `near` never reads. A write may be refused, if everything is over by then.
    private func writeUnread(drawing random: SeededRandom) async throws {
        var random = random
        while back.accepted < options.byteCount {
            let size = min(
                random.number(in: 1...StreamContent.byteCountMax), options.byteCount - back.accepted)
            if try await back.tryWrite(size) != nil { return }
        }
    }

    // MARK: What waits

    func closeWhileReadsWait() async throws {
        var random = random
        let reading = random.split()
        try await together(
            {
                try await record.expect(.closed, from: "a read that waits when its end is closed") {
                    try await near.read(atMost: .max)
                }
            },
            { try await out.readToEnd(drawing: reading) },
            {
                var random = reading
                try await CheckTime.dawdle(&random)
                try await pause()
                try await close(near)
            })
        try await expectClosed("closed")
        try await close(near)
        if options.hasHalfClose { await near.finish() }
        try await close(far)
        try await expectClosed("closed twice")
    }

    func closeWhileAWriteWaits() async throws {
        try await endWhileAWriteWaits("a close") { await near.close() }
        try await close(far)
    }

    /// `near` takes and delivers nothing any more.
    private func expectClosed(_ what: String) async throws {
        try await record.expect(.closed, from: "a read of an end that was \(what)") {
            try await near.read(atMost: .max)
        }
        try await expectRefused(by: out, "a write to an end that was \(what)")
    }

    // MARK: What was not read

    func closeWithBytesUnread() async throws {
        try await back.write(upTo: 5_000, drawing: random)
        try await back.flush()
        try await pause()
        try await close(near)
        for _ in 0..<2 {
            try await record.expect(.closed, from: "a read after a close, with bytes unread") {
                try await near.read(atMost: .max)
            }
            try await pause()
        }
        try await readEndOfClosed()
    }

    /// What `far` reads of an end that was closed with bytes unread, and has written nothing.
    private func readEndOfClosed() async throws {
        if options.closeOutlivesUnreadBytes {
            try await out.readToEnd(drawing: random)
        } else if case .failed(let kind) = try await out.tryRead({ try await $0.read(atMost: .max) }),
            kind != .reset
        {
            try record.fail("the peer of an end that was closed read \(kind)")
        }
        try await close(far)
    }

    func closeWhileBytesCome() async throws {
        var random = random
        let draws = (0..<2).map { _ in random.split() }
        let isClosed = Flag()
        try await together(
            {
                // Until it is refused, as it will be; but how soon, and how, is the peer's affair.
                for _ in 0..<100 {
                    if try await back.tryWrite(1_000) != nil { return }
                    await Task.yield()
                }
            },
            { try await readUntilClosed(isClosed) },
            {
                var random = draws[1]
                for _ in 0..<random.number(in: 0...3) { try await CheckTime.dawdle(&random) }
                try await close(near)
                isClosed.set()
                try await readEndOfClosed()
            })
    }

    private func readUntilClosed(_ isClosed: Flag) async throws {
        while true {
            let wasClosed = isClosed.isSet
            switch try await back.tryRead({ try await $0.read(atMost: .max) }) {
            case .failed(.closed): return
            case .failed(let kind): try record.fail("a read of an end that is closed meanwhile threw \(kind)")
            case .value(nil):
                try record.fail("a read of an end that is closed meanwhile found the peer's end")
            case .value(let count?):
                if wasClosed { try record.fail("a read after a close brought \(count) bytes") }
            }
        }
    }

    // MARK: Aborting

    func abortWhileReadsWait() async throws {
        try await together(
            {
                try await record.expect(.closed, from: "a read that waits when its end is aborted") {
                    try await near.read(atMost: .max)
                }
            },
            { try await readUntilAborted() },
            {
                try await pause()
                try await record.step("an abort") { await near.abort() }
            })
        try await record.expect(.closed, from: "a read after an abort") { try await near.read(atMost: .max) }
        try await expectRefused(by: out, "a write after an abort")
        try await close(near)
        try await writeUntilRefused()
    }

    func abortWhileWritesWait() async throws {
        var random = random
        let draws = (0..<2).map { _ in random.split() }
        try await together(
            {
                let failure = try await out.writeOn(drawing: draws[0])
                try requireClosed(failure, of: "a write that waited at an abort")
            },
            {
                let failure = try await back.writeOn(drawing: draws[1])
                guard failure == .reset || failure == .closed else {
                    try record.fail(
                        "a write that waited when its peer aborted should fail, but: \(failure.described)")
                }
            },
            {
                try await out.waitUntilHeldBack()
                try await back.waitUntilHeldBack()
                try await record.step("an abort") { await near.abort() }
            })
        try await readUntilAborted()
    }

    /// What `far` reads of an end that was aborted: some of what was written, and then that.
    private func readUntilAborted() async throws {
        while true {
            switch try await out.tryRead({ try await $0.read(atMost: .max) }) {
            case .value(.some): continue
            case .value(nil):
                if options.abortIsReset {
                    try record.fail("the peer of an end that was aborted read an orderly end")
                }
                return
            case .failed(.reset): return
            case .failed(let kind): try record.fail("the peer of an end that was aborted read \(kind)")
            }
        }
    }

    /// Nobody reads what `far` writes any more, and it gets to know.
    private func writeUntilRefused() async throws {
        let most = max(options.byteCount, options.bufferedByteCountMax ?? 0)
        while back.accepted < most {
            if try await back.tryWrite(min(16_384, options.byteCount)) != nil { return }
            await Task.yield()
        }
        try record.fail("the peer of an end that was aborted could write \(back.accepted) bytes")
    }
}

/// Set by one task, seen by another.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    func set() { value.store(true, ordering: .releasing) }
    var isSet: Bool { value.load(ordering: .acquiring) }
}
