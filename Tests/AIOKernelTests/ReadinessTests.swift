// The reused batch of readiness: bounded, and emptied by a failed fill.

import SystemPackage
import Testing

@testable import AIOKernel

@Suite struct ReadinessTests {
    @Test func `a batch takes as many pairs as it has room for`() {
        let batch = ReadinessBatch(capacity: 2)
        #expect(batch.append(token: 1, readiness: .readable))
        #expect(batch.append(token: 2, readiness: [.writable, .hangUp]))
        #expect(!batch.append(token: 3, readiness: .error))
        #expect(
            batch.count == 2 && batch.token(at: 1) == 2 && batch.readiness(at: 1) == [.writable, .hangUp])
        batch.removeAll()
        #expect(batch.count == 0)
    }

    @Test func `what a round leaves is there for the next, in order`() {
        let batch = ReadinessBatch(capacity: 8)
        for token in 1...7 { _ = batch.append(token: UInt64(token), readiness: .readable) }
        var taken: [[UInt64]] = []
        var coming: [UInt64?] = []
        while !batch.isEmpty {
            taken.append([])
            batch.take(atMost: 3) { token, _, next in
                taken[taken.count - 1].append(token)
                coming.append(next)
                return token != 5
            }
        }
        // Three, then as many as the body wanted, then the rest.
        #expect(taken == [[1, 2, 3], [4, 5], [6, 7]])
        #expect(coming == [3, nil, nil, 6, nil, nil, nil])
        #expect(batch.count == 0)
    }

    @Test func `a batch that is filled anew begins at its first pair`() {
        let batch = ReadinessBatch(capacity: 4)
        for token in 1...3 { _ = batch.append(token: UInt64(token), readiness: .readable) }
        batch.take(atMost: 2) { _, _, _ in true }
        _ = batch.fill { tokens, masks in
            tokens[0] = 9
            masks[0] = Readiness.writable.rawValue
            return 1
        }
        var taken: [UInt64] = []
        batch.take(atMost: 4) { token, _, _ in
            taken.append(token)
            return true
        }
        #expect(taken == [9])
    }

    @Test func `a fill that fails leaves nothing in the batch`() {
        let batch = ReadinessBatch(capacity: 2)
        _ = batch.append(token: 1, readiness: .readable)
        #expect(batch.fill { _, _ in -22 } == CallResult(.invalidArgument))
        #expect(batch.count == 0)
    }
}
