// Checks of a transport: what is written is what is read.

import AIO
import AIOBytes
import AIOKernel

extension TransportCheck {
    func everyByteInOrder() async throws {
        var random = random
        let draws = (0..<4).map { _ in random.split() }
        let byteCount = options.byteCount
        let directions = options.hasHalfClose
        try await together(
            {
                try await out.write(upTo: byteCount, drawing: draws[0])
                if directions { try await out.end() }
            },
            {
                try await back.write(upTo: byteCount, drawing: draws[1])
                if directions { try await back.end() }
            },
            {
                try await out.read(upTo: byteCount, drawing: draws[2])
                if directions { try await out.readToEnd(drawing: draws[2]) }
            },
            {
                try await back.read(upTo: byteCount, drawing: draws[3])
                if directions { try await back.readToEnd(drawing: draws[3]) }
            })
        try out.expectAllTaken()
        try back.expectAllTaken()
    }

    func emptyWritesDoNothing() async throws {
        var random = random
        let writing = random.split()
        let reading = random.split()
        try await together(
            {
                var random = writing
                for position in [0, 1, fewBytes] {
                    try await out.write(upTo: position, drawing: random.split())
                    try await CheckTime.dawdle(&random)
                    for _ in 0..<2 { try await out.write(0) }
                    if random.isOne(in: 2) { try await out.flush() }
                    try await CheckTime.dawdle(&random)
                }
                try await out.end()
            }, { try await out.readToEnd(drawing: reading) })
        try out.expectAllTaken()
    }

    /// Each piece says whose it is, which one of those, and how long; what follows from that must be in it.
    func piecesStayWhole() async throws {
        var random = random
        // More than what can be held, as a rule: writes that have to wait are those that others come between.
        let writerCount = 4, pieceCount = min(250, max(10, options.byteCount / 12_000))
        let draws = (0..<writerCount).map { _ in random.split() }
        let reading = random.split()
        try await together(
            {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for writer in 0..<writerCount {
                        group.addTask {
                            try await writePieces(of: writer, count: pieceCount, drawing: draws[writer])
                        }
                    }
                    for try await _ in group {}
                }
                try await out.end()
            },
            {
                try await pause()
                var pieces = PieceReader()
                try await read(into: &pieces, drawing: reading)
                let expected = (0..<writerCount).map { _ in Array(0..<pieceCount) }
                guard pieces.numbers == expected else {
                    try record.fail("pieces \(expected) were written, and \(pieces.numbers) came")
                }
            })
    }

    private func writePieces(of writer: Int, count: Int, drawing random: SeededRandom) async throws {
        var random = random
        for number in 0..<count {
            let sizeMax = random.isOne(in: 4) ? fewBytes : max(1, fewBytes / 10)
            let size = random.number(in: 1...sizeMax)
            let piece = Piece(writer: writer, number: number, byteCount: size)
            try await record.step("writer \(writer) writes piece \(number), of \(size) bytes") {
                try await near.write(piece.bytes)
            }
            try await CheckTime.dawdle(&random)
        }
    }

    /// All that `far` reads to the end.
    func read(into pieces: inout PieceReader, drawing random: SeededRandom) async throws {
        var random = random
        while let bytes = try await record.step("its peer reads pieces", { try await far.read(atMost: .max) })
        {
            if let problem = pieces.add(bytes) { try record.fail(problem) }
            if random.isOne(in: 4) { try await CheckTime.dawdle(&random) }
        }
        if !pieces.isBetweenPieces { try record.fail("the end came in the middle of a piece") }
    }

    func oneReaderAtATime() async throws {
        try await withThrowingTaskGroup(of: CheckRecord.Outcome<Bytes?>.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    try await record.outcome(of: "one of two reads at the same time") {
                        try await far.read(atMost: .max)
                    }
                }
            }
            let refused = try await record.step("neither of two reads at the same time is refused") {
                try await group.next()
            }
            guard case .failed(.misuse) = refused else {
                try record.fail(
                    "of two reads at the same time one should be refused, but: \(refused.described)")
            }
            try await out.write(100)
            let unharmed = try await record.step("the first read") { try await group.next() }
            guard case .value(let bytes) = unharmed else {
                try record.fail("the read beside which another was refused: \(unharmed.described)")
            }
            try out.take(bytes)
        }
        try await out.write(100)
        try await out.read(upTo: 200, drawing: random)
    }
}

extension Optional {
    fileprivate var described: String { map { "\($0)" } ?? "nothing" }
}
