// Checks of a transport: who writes waits for who reads, and for nobody else.

import AIO
import AIOKernel

extension TransportCheck {
    /// How much more is written once the reading has begun.
    private var rest: Int { min(options.byteCount, 100_000) }

    func writesAreHeldBack() async throws {
        let random = random
        try await together(
            { try await writeToGoal(of: out, drawing: random) },
            {
                try await out.waitUntilHeldBack()
                let goal = out.stopWriting(after: rest)
                try await out.read(upTo: goal, drawing: random)
            })
    }

    /// A reader that takes a little at a time: no more is ever on its way than may be held.
    func slowReader() async throws {
        var random = random
        let writing = random.split(), reading = random.split()
        try await together(
            { try await writeToGoal(of: out, drawing: writing) },
            {
                var random = reading
                for _ in 0..<20 {
                    _ = try await out.read(atMost: random.number(in: 1...fewBytes))
                    try await CheckTime.dawdle(&random)
                }
                try await out.waitUntilHeldBack()
                try await out.read(upTo: out.stopWriting(after: rest), drawing: random)
            })
    }

    /// Both directions are full, and only one peer reads: its direction goes on.
    func oneDirectionGoesOn() async throws {
        try await flood {
            var random = random
            try await out.read(upTo: out.stopWriting(after: rest), drawing: random.split())
            try await back.read(upTo: back.stopWriting(after: rest), drawing: random.split())
        }
    }

    /// Both directions are full, and then both peers read.
    func bothDirectionsGoOn() async throws {
        var random = random
        let draws = (0..<2).map { _ in random.split() }
        try await flood {
            try await together(
                { try await out.read(upTo: out.stopWriting(after: rest), drawing: draws[0]) },
                { try await back.read(upTo: back.stopWriting(after: rest), drawing: draws[1]) })
        }
    }

    /// Both ends write until they are held back; then `body`.
    private func flood(_ body: @escaping @Sendable () async throws -> Void) async throws {
        var random = random
        let draws = (0..<2).map { _ in random.split() }
        try await together(
            { try await writeToGoal(of: out, drawing: draws[0]) },
            { try await writeToGoal(of: back, drawing: draws[1]) },
            {
                try await out.waitUntilHeldBack()
                try await back.waitUntilHeldBack()
                try await body()
            })
    }

    private func writeToGoal(of flow: Flow<Transport>, drawing random: SeededRandom) async throws {
        if let failure = try await flow.writeOn(drawing: random) {
            try record.fail("a write whose peer is there and does not read threw \(failure)")
        }
    }
}
