// Time, chance, processors.

import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct LinuxKernelTests {
        let kernel = LinuxKernel()

        @Test func `time does not go back`() {
            var last = kernel.now
            for _ in 0..<1_000 {
                let now = kernel.now
                #expect(now >= last)
                last = now
            }
        }

        @Test func `random numbers differ`() {
            #expect(Set((0..<64).map { _ in kernel.random() }).count == 64)
        }

        @Test func `there is at least one processor`() {
            #expect(kernel.usableProcessorCount >= 1)
        }
    }
}
