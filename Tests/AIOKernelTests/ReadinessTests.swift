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

    @Test func `a fill that fails leaves nothing in the batch`() {
        let batch = ReadinessBatch(capacity: 2)
        _ = batch.append(token: 1, readiness: .readable)
        #expect(batch.fill { _, _ in -22 } == CallResult(.invalidArgument))
        #expect(batch.count == 0)
    }
}
