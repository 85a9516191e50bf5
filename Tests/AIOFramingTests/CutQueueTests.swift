// The queue of cuts, beside an array.

import Testing

@testable import AIOFraming

@Suite struct CutQueueTests {
    @Test func `Cuts come out in order, with what was added to the last of them`() {
        for seed in UInt64(1)...100 {
            var random = SeededGenerator(seed: seed)
            var queue = CutQueue()
            var model: [Int] = []
            for step in 1...200 {
                switch Int.random(in: 0..<8, using: &random) {
                case 0..<4:
                    queue.append(
                        Cut(
                            rawByteCount: step, payloadStart: 0, payloadByteCount: step, kind: .frame,
                            rule: nil))
                    model.append(step)
                case 4 where !model.isEmpty:
                    queue.extendLast(byRawByteCount: 1_000)
                    model[model.count - 1] += 1_000
                case 5 where step % 7 == 0:
                    queue.removeAll()
                    model.removeAll()
                default:
                    let cut = queue.popFirst()
                    #expect(cut?.rawByteCount == (model.isEmpty ? nil : model.removeFirst()), "seed \(seed)")
                }
                #expect(queue.count == model.count && queue.isEmpty == model.isEmpty, "seed \(seed)")
            }
        }
    }
}
