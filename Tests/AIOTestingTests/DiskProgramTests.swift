// A file under random disk requests, several in flight and over one another, against an array of bytes.

import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

@Suite struct DiskProgramTests {
    @Test(arguments: UInt64(0)..<40)
    func `requests do to a file what they would do one by one, in the order of their completions`(
        seed: UInt64
    ) throws {
        let program = try DiskProgram(seed: seed)
        for _ in 0..<60 { try program.round() }
        program.finish()
        #expect(try program.bench.contents == program.model.bytes, "seed \(seed)")
        #expect(program.bench.trace.violations.isEmpty, "seed \(seed)")
        #expect(program.answerCount > 60, "seed \(seed)")
    }

    @Test func `the same seed is the same program, to the last line`() throws {
        func digest(_ seed: UInt64) throws -> UInt64 {
            let program = try DiskProgram(seed: seed)
            for _ in 0..<20 { try program.round() }
            return program.bench.trace.digest
        }
        #expect(try digest(1) == digest(1) && digest(1) != digest(2))
    }
}

/// A file as an array, and which blocks of it were written.
private struct DiskModel {
    var bytes: [UInt8] = []
    private var blocks: Set<Int> = []

    mutating func write(_ byte: UInt8, in range: Range<Int>) {
        if bytes.count < range.upperBound {
            bytes += [UInt8](repeating: 0, count: range.upperBound - bytes.count)
        }
        bytes.replaceSubrange(range, with: [UInt8](repeating: byte, count: range.count))
        blocks.formUnion(range.lowerBound / 4_096...(range.upperBound - 1) / 4_096)
    }

    mutating func truncate(to count: Int) {
        bytes = Array(bytes.prefix(count)) + [UInt8](repeating: 0, count: max(count - bytes.count, 0))
        blocks = blocks.filter { $0 * 4_096 < count }
    }

    func isAllocated(_ range: Range<Int>) -> Bool {
        range.upperBound <= bytes.count
            && (range.lowerBound / 4_096...(range.upperBound - 1) / 4_096).allSatisfy(blocks.contains)
    }
}

/// Each round reaps, perhaps cuts the file off or makes it longer, submits some requests, and lets some
/// complete. The model is up to date whenever a request is submitted, so it knows what the kernel knew then.
private final class DiskProgram {
    private struct Expectation {
        /// Where the bytes are that the request may move; of a read, up to what was the end of the file.
        let range: Range<Int>
        let isRefused: Bool
    }

    let bench: DiskBench
    private(set) var model = DiskModel()
    private(set) var answerCount = 0
    private var random: SeededRandom
    private let seed: UInt64
    private let file: SharedDescriptor
    private let context: DiskContext
    private var expected: [ObjectIdentifier: Expectation] = [:]

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededRandom(seed: seed)
        bench = try DiskBench(.simulated, options: .roomy, seed: seed)
        file = try bench.open()
        context = try bench.kernel.makeDiskContext(requestsMax: 6)
    }

    func round() throws {
        reap()
        if random.isOne(in: 8) {
            let byteCount = random.number(below: 40_000)
            try bench.truncate(to: Int64(byteCount))
            model.truncate(to: byteCount)
        }
        let requests = try (0...random.number(below: 4)).map { _ in try request() }
        let taken = bench.kernel.submit(requests, to: context)
        #expect(taken.count > 0 || expected.count == 6, "seed \(seed): \(taken)")
        for request in requests[..<taken.count] {
            expected[ObjectIdentifier(request)] = expectation(of: request)
        }
        for _ in 0..<random.number(below: 6) { bench.simulated?.diskQueue?.step() }
    }

    func finish() {
        while let queue = bench.simulated?.diskQueue, queue.canStep { queue.step() }
        reap()
        #expect(expected.isEmpty, "seed \(seed)")
    }

    private func request() throws -> DiskRequest {
        let offset = Int64(random.number(below: 60) * 512), count = (1 + random.number(below: 20)) * 512
        let nonblocking = random.isOne(in: 2)
        if random.isOne(in: 2) {
            return try bench.read(count, at: offset, of: file, nonblocking: nonblocking)
        }
        let byte = UInt8(truncatingIfNeeded: random.next())
        return try bench.write(byte, count: count, at: offset, to: file, nonblocking: nonblocking)
    }

    private func expectation(of request: DiskRequest) -> Expectation {
        let start = Int(request.offset), range = start..<start + request.byteCount
        switch request.operation {
        case .read:
            let end = max(min(range.upperBound, model.bytes.count), start)
            return Expectation(range: start..<end, isRefused: false)
        case .write:
            let isRefused = request.isNonblocking && !model.isAllocated(range)
            return Expectation(range: range, isRefused: isRefused)
        }
    }

    private func reap() {
        var completions: [DiskCompletion] = []
        #expect(bench.kernel.reap(from: context, into: &completions).count == completions.count)
        for completion in completions { check(completion) }
    }

    private func check(_ completion: DiskCompletion) {
        let request = completion.request
        guard let expectation = expected.removeValue(forKey: ObjectIdentifier(request)) else {
            Issue.record("seed \(seed): a completion of what was not submitted")
            return
        }
        answerCount += 1
        if expectation.isRefused {
            #expect(completion.result.wouldBlock, "seed \(seed)")
        } else if request.operation == .write {
            #expect(completion.result.count == request.byteCount, "seed \(seed)")
            model.write(request.buffer.contents[0], in: expectation.range)
        } else {
            let bytes = model.bytes[..<min(expectation.range.upperBound, model.bytes.count)]
                .dropFirst(expectation.range.lowerBound)
            #expect(completion.result.count == bytes.count, "seed \(seed)")
            #expect(request.buffer.contents[..<bytes.count] == Array(bytes)[...], "seed \(seed)")
        }
    }
}
