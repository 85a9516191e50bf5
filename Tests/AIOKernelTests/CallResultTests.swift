// A system call's answer: a count or an error, never both.

import SystemPackage
import Testing

@testable import AIOKernel

@Suite struct CallResultTests {
    @Test func `a count is a success without an error`() {
        let result = CallResult(rawValue: 42)
        #expect(result.isSuccess && result.count == 42 && result.errno == nil)
        #expect(!result.wouldBlock && !result.wasInterrupted)
    }

    @Test func `zero is a success`() {
        #expect(CallResult(rawValue: 0).isSuccess && CallResult(rawValue: 0).count == 0)
    }

    @Test func `a negated error number is an error without a count`() {
        let result = CallResult(rawValue: -104)
        #expect(!result.isSuccess && result.count == 0 && result.errno == .connectionReset)
        #expect(result == CallResult(.connectionReset))
    }

    @Test func `would-block and interruption are recognised`() {
        #expect(CallResult(.wouldBlock).wouldBlock && CallResult(.resourceTemporarilyUnavailable).wouldBlock)
        #expect(CallResult(.interrupted).wasInterrupted && !CallResult(.interrupted).wouldBlock)
    }
}
