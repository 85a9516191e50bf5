// Memory for direct I/O: aligned, zeroed, and with one user at a time.

import Testing

@testable import AIOKernel

@Suite struct DiskBufferTests {
    @Test(arguments: [1, 512, 4096, 4097, 1 << 20])
    func `a buffer has the bytes it was asked for, zeroed and aligned`(byteCount: Int) throws {
        let buffer = try DiskBuffer(byteCount: byteCount)
        #expect(buffer.byteCount == byteCount)
        #expect(unsafe UInt(bitPattern: buffer.baseAddress) % 4096 == 0)
        let sum = buffer.withBytes { bytes in
            (0..<bytes.byteCount).reduce(0) {
                unsafe $0 + Int(bytes.unsafeLoad(fromByteOffset: $1, as: UInt8.self))
            }
        }
        #expect(sum == 0)
    }

    @Test func `what is written can be read, and a buffer that was given back can be used again`() throws {
        let buffer = try DiskBuffer(byteCount: 16)
        buffer.withMutableBytes { bytes in bytes.storeBytes(of: UInt32(7), toByteOffset: 4, as: UInt32.self) }
        buffer.lend()
        buffer.takeBack()
        #expect(
            buffer.withBytes { bytes in unsafe bytes.unsafeLoad(fromByteOffset: 4, as: UInt32.self) } == 7)
    }

    @Test func `a size that no machine has is an error`() {
        #expect { try DiskBuffer(byteCount: .max) } throws: { ($0 as? AIOError)?.code == .outOfMemory }
        #expect { try DiskBuffer(byteCount: 1 << 60) } throws: { ($0 as? AIOError)?.code == .outOfMemory }
    }

    @Test func `reading a lent buffer traps`() async {
        await #expect(processExitsWith: .failure) {
            let buffer = try DiskBuffer(byteCount: 16)
            buffer.lend()
            buffer.withBytes { _ in }
        }
    }
}
