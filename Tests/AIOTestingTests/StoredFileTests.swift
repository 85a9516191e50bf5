// Files of the simulated disk by themselves: against an array of bytes, and by path.

import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

@Suite struct StoredFileTests {
    @Test(arguments: UInt64(0)..<30)
    func `a file is what an array of bytes would be`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var model = (0..<random.number(below: 10_000)).map { UInt8(truncatingIfNeeded: $0) }
        let file = StoredFile(model)
        for round in 0..<100 {
            let offset = random.number(below: 20_000), count = random.number(below: 9_000)
            switch random.number(below: 4) {
            case 0, 1:
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: count)
                file.write(bytes, at: Int64(offset))
                if count > 0, model.count < offset + count {
                    model += [UInt8](repeating: 0, count: offset + count - model.count)
                }
                if count > 0 { model.replaceSubrange(offset..<offset + count, with: bytes) }
            case 2:
                file.truncate(to: Int64(offset))
                model =
                    Array(model.prefix(offset)) + [UInt8](repeating: 0, count: max(offset - model.count, 0))
            default:
                #expect(
                    file.read(count, at: Int64(offset)) == Array(model.dropFirst(offset).prefix(count)),
                    "seed \(seed), round \(round)")
            }
            #expect(file.byteCount == model.count, "seed \(seed), round \(round)")
        }
        #expect(file.contents == model, "seed \(seed)")
    }

    @Test func `a file may be long, and what was never written is not kept`() {
        let file = StoredFile([1])
        let far = Int64.max - 4_096
        file.write([2], at: far)
        #expect(file.byteCount == far + 1)
        #expect(file.read(10, at: far - 1) == [0, 2])
        #expect(file.read(3, at: 1 << 40) == [0, 0, 0])
        #expect(file.read(3, at: .max) == [])
        file.truncate(to: 2)
        #expect(file.contents == [1, 0])
    }

    @Test func `what is allocated are the blocks that were written, up to the end`() {
        let file = StoredFile([UInt8](repeating: 1, count: 5_000))
        #expect(file.isAllocated(5_000, at: 0) && file.isAllocated(1, at: 4_999))
        #expect(!file.isAllocated(5_001, at: 0) && !file.isAllocated(1, at: 5_000), "the end")
        file.truncate(to: 12_288)
        #expect(file.isAllocated(8_192, at: 0) && !file.isAllocated(8_193, at: 0), "the hole")
        file.write([1], at: 12_287)
        #expect(file.isAllocated(4_096, at: 8_192) && file.isAllocated(12_288, at: 0))
        file.truncate(to: 4_096)
        file.truncate(to: 12_288)
        #expect(!file.isAllocated(1, at: 4_096), "what was cut off")
    }

    @Test func `a disk knows its files by path`() throws {
        let disk = SimulatedDisk()
        #expect(disk.contents(of: "/a") == nil && disk.byteCount(of: "/a") == nil && disk.paths.isEmpty)
        disk.makeFile(at: "/b", contents: [1, 2, 3])
        disk.makeFile(at: "/a")
        #expect(disk.paths == ["/a", "/b"] && disk.contents(of: "/a") == [])
        try disk.truncate("/b", to: 2)
        #expect(disk.contents(of: "/b") == [1, 2] && disk.byteCount(of: "/b") == 2)
        disk.makeFile(at: "/b", contents: [4])
        #expect(disk.contents(of: "/b") == [4])
        try disk.remove("/b")
        #expect(disk.paths == ["/a"])
        let missing = AIOError(errno: .noSuchFileOrDirectory, call: "unlink", detail: "/b")
        #expect(throws: missing) { try disk.remove("/b") }
        #expect { try disk.truncate("/b", to: 0) } throws: { ($0 as? AIOError)?.call == "truncate" }
    }

    @Test func `a file is opened by its path, if it is there, and direct, if that can be had`() throws {
        let bench = try DiskBench(.simulated)
        let kernel = try #require(bench.simulated)
        let number = try kernel.open("/data", direct: true).number
        #expect(number == 5, "and closed again")
        let missing = AIOError(errno: .noSuchFileOrDirectory, call: "open", detail: "/missing")
        #expect(throws: missing) { _ = try kernel.open("/missing", direct: true).number }
        kernel.disk.takesDirect = false
        let refused = AIOError(errno: .invalidArgument, call: "open", detail: "/data")
        #expect(throws: refused) { _ = try kernel.open("/data", direct: true).number }
        #expect(try kernel.open("/data", direct: false).number == number)
        let denied = kernel.faults.add { $0.path == "/data" ? .fail(.permissionDenied) : nil }
        #expect { _ = try kernel.open("/data", direct: false).number } throws: {
            ($0 as? AIOError)?.code == .permissionDenied
        }
        #expect(try kernel.openPlaceholder().number == number && denied.useCount == 1)
    }
}
