// One direction of a pair of transports under check: what one end writes of a known stream, the other reads
// and compares.

import AIO
import AIOBytes
import AIOKernel
import Synchronization

/// From `source` to `sink`. One task at a time writes through it, and one reads.
final class Flow<Transport: StreamTransport>: Sendable {
    let source: Transport
    let sink: Transport
    private let content: StreamContent
    private let record: CheckRecord
    private let options: TransportCheckOptions
    /// How the ends are called in what is reported.
    private let sourceName: String
    private let sinkName: String

    /// Bytes of writes that have returned. The writing task adds, anybody reads; it orders nothing.
    private let acceptedCount = Atomic<Int>(0)
    /// Bytes that reads have brought. The reading task adds, anybody reads; it orders nothing.
    private let takenCount = Atomic<Int>(0)
    /// Where a writer that goes on until it is told stops. Anybody sets it; it orders nothing.
    private let goal = Atomic<Int>(.max)

    init(
        from source: Transport, _ sourceName: String, to sink: Transport, _ sinkName: String, number: Int,
        record: CheckRecord, options: TransportCheckOptions
    ) {
        self.source = source
        self.sink = sink
        self.sourceName = sourceName
        self.sinkName = sinkName
        self.record = record
        self.options = options
        content = StreamContent(number: number)
    }

    var accepted: Int { acceptedCount.load(ordering: .relaxed) }
    var taken: Int { takenCount.load(ordering: .relaxed) }

    // MARK: Writing

    /// The next `byteCount` bytes, which must be accepted.
    func write(_ byteCount: Int) async throws {
        if let failure = try await tryWrite(byteCount) {
            try record.fail("\(sourceName) could not write at \(accepted): \(failure)")
        }
    }

    /// The same, but it may fail, and then the bytes are still the next.
    func tryWrite(_ byteCount: Int) async throws -> TransportFailure? {
        let bytes = content.bytes(at: accepted, count: byteCount)
        let what = "\(sourceName) writes \(byteCount) bytes at \(accepted)"
        switch try await record.outcome(of: what, { try await source.write(bytes) }) {
        case .value: acceptedCount.wrappingAdd(byteCount, ordering: .relaxed)
        case .failed(let failure): return failure
        }
        return nil
    }

    /// Up to that position, in pieces of drawn sizes, some of them flushed.
    func write(upTo position: Int, drawing random: SeededRandom) async throws {
        var random = random
        while accepted < position {
            try await write(min(Self.pieceSize(&random), position - accepted))
            if random.isOne(in: 8) { try await flush() }
            if random.isOne(in: 4) { try await CheckTime.dawdle(&random) }
        }
    }

    /// On and on, until it is refused or has reached the goal that others have set: how it was refused, or
    /// nil.
    func writeOn(drawing random: SeededRandom) async throws -> TransportFailure? {
        var random = random
        while accepted < goal.load(ordering: .relaxed) {
            if let failure = try await tryWrite(random.number(in: 1...16_384)) { return failure }
            try expectBounded()
            // Nobody may be held up by a writer that is never held back.
            await Task.yield()
        }
        return nil
    }

    /// Has `writeOn` stop after `byteCount` bytes more.
    func stopWriting(after byteCount: Int) -> Int {
        let position = accepted + byteCount
        goal.store(position, ordering: .relaxed)
        return position
    }

    func flush() async throws {
        try await record.step("\(sourceName) flushes at \(accepted)") { try await source.flush() }
    }

    /// Ends this direction: by a finish, where there is such a thing.
    func end() async throws {
        try await record.step("\(sourceName) ends its stream") {
            if options.hasHalfClose { await source.finish() } else { await source.close() }
        }
    }

    /// Suspends until the one who writes gets no further.
    func waitUntilHeldBack() async throws {
        var before = -1
        while before != accepted {
            before = accepted
            try await record.step("\(sourceName) writes and is not held back") {
                try await CheckTime.pause(options)
            }
        }
    }

    /// No more is on its way than the transport may hold.
    private func expectBounded() throws {
        let held = accepted - taken
        if let most = options.bufferedByteCountMax, held > most + StreamContent.byteCountMax {
            try record.fail(
                "\(sourceName) is \(held) bytes ahead of what \(sinkName) read; at most \(most) may be held"
            )
        }
    }

    // MARK: Reading

    /// Reads once: how many bytes came, or nil at the end. Whatever comes must be what comes next.
    func read(atMost byteCountMax: Int = .max) async throws -> Int? {
        let bytes = try await record.step("\(sinkName) reads at \(taken)") {
            try await sink.read(atMost: byteCountMax)
        }
        return try take(bytes, atMost: byteCountMax)
    }

    /// The same for a read that may fail.
    func tryRead(
        atMost byteCountMax: Int = .max, _ body: (Transport) async throws -> Bytes?
    ) async throws -> CheckRecord.Outcome<Int?> {
        switch try await record.outcome(of: "\(sinkName) reads at \(taken)", { try await body(sink) }) {
        case .value(let bytes): .value(try take(bytes, atMost: byteCountMax))
        case .failed(let failure): .failed(failure)
        }
    }

    /// What a read brought.
    @discardableResult
    func take(_ bytes: Bytes?, atMost byteCountMax: Int = .max) throws -> Int? {
        guard let bytes else { return nil }
        if bytes.isEmpty {
            try record.fail("\(sinkName) read no bytes at \(taken), which is not the end either")
        }
        if bytes.count > byteCountMax {
            try record.fail("\(sinkName) asked for at most \(byteCountMax) bytes and read \(bytes.count)")
        }
        if let position = content.mismatch(of: bytes, at: taken) {
            try record.fail(
                "\(sinkName) read \(bytes.count) bytes at \(taken), and not what was written at \(position)"
            )
        }
        takenCount.wrappingAdd(bytes.count, ordering: .relaxed)
        return bytes.count
    }

    /// Up to that position, by reads of drawn sizes.
    func read(upTo position: Int, drawing random: SeededRandom) async throws {
        var random = random
        while taken < position {
            let most = min(Self.readSize(&random), position - taken)
            guard try await read(atMost: most) != nil else {
                try record.fail("\(sinkName) read the end at \(taken), before \(position)")
            }
            if random.isOne(in: 4) { try await CheckTime.dawdle(&random) }
        }
    }

    /// Up to the end, which must come again and again.
    func readToEnd(drawing random: SeededRandom) async throws {
        var random = random
        while try await read(atMost: Self.readSize(&random)) != nil {
            if random.isOne(in: 4) { try await CheckTime.dawdle(&random) }
        }
        for _ in 0..<2 {
            if try await read() != nil { try record.fail("\(sinkName) read bytes after the end") }
        }
    }

    /// Once both sides are through.
    func expectAllTaken() throws {
        guard taken == accepted else {
            try record.fail("\(accepted) bytes were written, and \(sinkName) read \(taken) before the end")
        }
    }

    // MARK: Sizes

    private static func pieceSize(_ random: inout SeededRandom) -> Int {
        switch random.number(below: 8) {
        case 0: 1
        case 1, 2: random.number(in: 1...100)
        case 3, 4, 5: random.number(in: 1...4_000)
        default: random.number(in: 1...StreamContent.byteCountMax)
        }
    }

    private static func readSize(_ random: inout SeededRandom) -> Int {
        switch random.number(below: 8) {
        case 0: random.number(in: 1...10)
        case 1, 2: random.number(in: 1...2_000)
        case 3, 4: random.number(in: 1...40_000)
        default: .max
        }
    }
}
