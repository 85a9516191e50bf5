// Checks of a transport: what is cancelled has done nothing.

import AIO
import AIOBytes
import AIOKernel

extension TransportCheck {
    // MARK: Reads

    func cancelledReadOfNothing() async throws {
        for round in 1...3 {
            let reading = begin { try await out.tryRead { try await $0.read(atMost: .max) } }
            try await pause()
            reading.cancel()
            guard case .failed(.cancelled) = try await result("a cancelled read ends", of: reading) else {
                try record.fail(
                    "a cancelled read, for which there was nothing, did not throw CancellationError")
            }
            try await out.write(1_000)
            try await out.read(upTo: round * 1_000, drawing: random)
        }
    }

    func cancelledReadsAmongBytes() async throws {
        var random = random
        let draws = (0..<2).map { _ in random.split() }
        let byteCount = fewBytes
        try await together(
            { try await out.trickle(upTo: byteCount, drawing: draws[0]) },
            {
                var random = draws[1]
                while out.taken < byteCount {
                    let most = random.number(in: 1...2_000)
                    let reading = begin {
                        try await out.tryRead(atMost: most) { try await $0.read(atMost: most) }
                    }
                    try await CheckTime.dawdle(&random)
                    reading.cancel()
                    try expectValueOr(.cancelled, try await result("a cancelled read ends", of: reading))
                }
            })
    }

    func timedReadsAmongBytes() async throws {
        var random = random
        let draws = (0..<2).map { _ in random.split() }
        let byteCount = fewBytes / 2
        try await together(
            { try await out.trickle(upTo: byteCount, drawing: draws[0]) },
            {
                var random = draws[1]
                while out.taken < byteCount {
                    let most = random.number(in: 1...2_000)
                    let time = Duration.microseconds(random.number(in: 0...2_000))
                    let outcome = try await out.tryRead(atMost: most) {
                        try await $0.read(atMost: most, within: time)
                    }
                    try expectValueOr(.timedOut, outcome)
                }
            })
        try await record.expect(.timedOut, from: "a read whose time is over, for which there is nothing") {
            try await far.read(atMost: .max, within: .milliseconds(5))
        }
    }

    private func expectValueOr(_ kind: TransportFailure, _ outcome: CheckRecord.Outcome<Int?>) throws {
        switch outcome {
        case .failed(kind), .value(.some): return
        case .failed(let other): try record.fail("a read threw \(other), and not \(kind)")
        case .value(nil): try record.fail("its peer read an end that nobody has written")
        }
    }

    // MARK: Writes

    func cancelledWriteThatWaits() async throws {
        let random = random
        try await fillUntilCancelled()
        let position = out.accepted + fewBytes
        try await together(
            { try await out.write(upTo: position, drawing: random) },
            { try await out.read(upTo: position, drawing: random) })
    }

    /// Writes until a write waits, and cancels that.
    private func fillUntilCancelled() async throws {
        let random = random
        let writing = begin { try await out.writeOn(drawing: random) }
        try await out.waitUntilHeldBack()
        writing.cancel()
        let failure = try await result("a cancelled write ends", of: writing)
        guard failure == .cancelled else {
            try record.fail(
                "a cancelled write that waited did not throw CancellationError, but: \(failure.described)")
        }
    }

    func cancelledWritesAmongReads() async throws {
        var random = random
        let draws = (0..<2).map { _ in random.split() }
        let byteCount = options.byteCount
        try await fillUntilCancelled()
        let goal = out.accepted + byteCount
        try await together(
            {
                var random = draws[0]
                while out.accepted < goal {
                    let size = min(
                        random.number(in: 1...max(1, min(StreamContent.byteCountMax, options.byteCount / 4))),
                        goal - out.accepted)
                    let writing = begin { try await out.tryWrite(size) }
                    for _ in 0..<random.number(in: 0...4) { try await CheckTime.dawdle(&random) }
                    writing.cancel()
                    let failure = try await result("a cancelled write ends", of: writing)
                    guard failure == nil || failure == .cancelled else {
                        try record.fail("a cancelled write threw \(failure.described)")
                    }
                }
            },
            { try await out.read(upTo: goal, drawing: draws[1]) })
    }

    /// Of several writes that wait, one is cancelled: the others arrive, whole and once.
    func cancelledWriteInLine() async throws {
        let fill = begin { () -> [Int] in
            var numbers: [Int] = []
            while numbers.count < 256, try await writePiece(0, numbers.count, 60_000) == nil {
                numbers.append(numbers.count)
            }
            return numbers
        }
        try await pause()
        let line = (1...4).map { writer in begin { try await writePiece(writer, 0, 2_000) } }
        try await pause()
        line[1].cancel()
        fill.cancel()
        let cancelled = try await result("a cancelled write ends", of: line[1])
        let filled = try await result("a cancelled write ends", of: fill)
        let random = random
        try await together(
            {
                for (index, writing) in line.enumerated() where index != 1 {
                    if let failure = try await result("a write in line with a cancelled one", of: writing) {
                        try record.fail("a write in line with a cancelled one threw \(failure)")
                    }
                }
                try await out.end()
            },
            {
                var pieces = PieceReader()
                try await read(into: &pieces, drawing: random)
                let expected = [filled, [0], cancelled == nil ? [0] : [], [0], [0]]
                guard pieces.numbers == expected else {
                    try record.fail("pieces \(expected) were accepted, and \(pieces.numbers) came")
                }
            })
    }

    private func writePiece(_ writer: Int, _ number: Int, _ byteCount: Int) async throws -> TransportFailure?
    {
        let bytes = Piece(writer: writer, number: number, byteCount: byteCount).bytes
        let outcome = try await record.outcome(of: "writer \(writer) writes a piece") {
            try await near.write(bytes)
        }
        if case .failed(let kind) = outcome { return kind }
        return nil
    }

    // MARK: Flushes

    func cancelledFlush() async throws {
        let random = random
        if options.bufferedByteCountMax == nil {
            try await out.write(upTo: fewBytes, drawing: random)
        } else {
            try await fillUntilCancelled()
        }
        let flushing = begin {
            try await record.outcome(of: "a flush that is cancelled") { try await near.flush() }
        }
        try await pause()
        flushing.cancel()
        switch try await result("a cancelled flush ends", of: flushing) {
        case .value, .failed(.cancelled): break
        case .failed(let kind): try record.fail("a cancelled flush threw \(kind)")
        }
        let position = out.accepted + 1_000
        try await together(
            {
                try await out.write(upTo: position, drawing: random)
                try await out.flush()
            },
            { try await out.read(upTo: position, drawing: random) })
    }
}

extension Flow {
    /// Small pieces, with time between them.
    fileprivate func trickle(upTo position: Int, drawing random: SeededRandom) async throws {
        var random = random
        while accepted < position {
            try await write(min(random.number(in: 1...1_000), position - accepted))
            try await CheckTime.dawdle(&random)
            if random.isOne(in: 3) { try await CheckTime.pass(.microseconds(random.number(in: 0...2_000))) }
        }
    }
}
