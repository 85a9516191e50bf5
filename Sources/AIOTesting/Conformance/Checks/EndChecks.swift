// Checks of a transport: the end of one direction, and what is left of the other.

import AIO
import AIOKernel

extension TransportCheck {
    func endComesLast() async throws {
        var random = random
        let byteCount = random.number(in: 0...options.byteCount)
        let draws = (0..<2).map { _ in random.split() }
        try await together(
            {
                var random = draws[0]
                try await CheckTime.dawdle(&random)
                try await out.write(upTo: byteCount, drawing: random)
                try await out.end()
            },
            {
                var random = draws[1]
                try await CheckTime.dawdle(&random)
                try await out.readToEnd(drawing: random)
            })
        try out.expectAllTaken()
    }

    func answerAfterTheEnd() async throws {
        var random = random
        let draws = (0..<4).map { _ in random.split() }
        let questionByteCount = random.number(in: 0...2_000)
        let byteCount = options.byteCount
        try await out.write(upTo: questionByteCount, drawing: draws[0])
        try await out.end()
        try await out.readToEnd(drawing: draws[1])
        try out.expectAllTaken()
        try await together(
            {
                try await back.write(upTo: byteCount, drawing: draws[2])
                try await back.end()
            }, { try await back.readToEnd(drawing: draws[3]) })
        try back.expectAllTaken()
    }

    func bothEndAtTheSameTime() async throws {
        var random = random
        let counts = (0..<2).map { _ in random.number(in: 0...2_000) }
        let draws = (0..<4).map { _ in random.split() }
        try await together(
            {
                try await out.write(upTo: counts[0], drawing: draws[0])
                try await out.end()
            },
            {
                try await back.write(upTo: counts[1], drawing: draws[1])
                try await back.end()
            },
            { try await out.readToEnd(drawing: draws[2]) },
            { try await back.readToEnd(drawing: draws[3]) })
        try out.expectAllTaken()
        try back.expectAllTaken()
    }

    func writeAfterFinish() async throws {
        try await out.write(upTo: 1_000, drawing: random)
        for _ in 0..<2 {
            try await out.end()
            try await expectRefused(by: out, "a write after a finish")
        }
        try await out.readToEnd(drawing: random)
        try out.expectAllTaken()
        try await together(
            { try await back.write(upTo: 1_000, drawing: random) },
            { try await back.read(upTo: 1_000, drawing: random) })
    }

    func finishWhileAWriteWaits() async throws {
        try await endWhileAWriteWaits("a finish") { await near.finish() }
    }

    /// `end` ends the writing while a write waits for room: that is refused, and what was accepted before
    /// arrives.
    func endWhileAWriteWaits(_ what: String, _ end: @escaping @Sendable () async -> Void) async throws {
        let random = random
        try await together(
            {
                let failure = try await out.writeOn(drawing: random)
                try requireClosed(failure, of: "a write that waited at \(what)")
            },
            {
                try await out.waitUntilHeldBack()
                try await record.step(what) { await end() }
                try await pause()
                try await out.readToEnd(drawing: random)
            })
        try out.expectAllTaken()
    }

    func expectRefused(by flow: Flow<Transport>, _ what: String) async throws {
        try requireClosed(try await flow.tryWrite(100), of: what)
    }

    func requireClosed(_ failure: TransportFailure?, of what: String) throws {
        guard failure == .closed else {
            try record.fail("\(what) should be refused with closed, but: \(failure.described)")
        }
    }
}

extension TransportFailure? {
    var described: String { map { "\($0)" } ?? "it was accepted" }
}
