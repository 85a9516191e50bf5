// What Linux does with disk requests, and the simulated kernel: one table of behaviour, asked of both, so
// that the simulation cannot drift from what it stands for. Linux's answers are those of ext4.

import AIOKernel
import SystemPackage
import Testing

@testable import AIOTesting

private let pageBytes = [UInt8](repeating: 7, count: 4_096)

@Suite struct DiskBehaviourTests {
    @Test(.enabled(if: DiskKernel.linuxIsExt4, "/tmp is not ext4: the simulation is not compared with Linux"))
    func `Linux itself is asked`() throws {
        let bench = try DiskBench(.linux, contents: pageBytes)
        let read = try bench.run(bench.read(512, at: 0, of: bench.open()))
        #expect(
            read.map(\.result.count) == [512] && read[0].request.buffer.contents[...] == pageBytes.prefix(512)
        )
    }

    // MARK: Contents

    @Test(arguments: DiskKernel.here)
    func `what was written is in the file, and is read`(which: DiskKernel) throws {
        let bench = try DiskBench(which)
        let file = try bench.open()
        try bench.run(bench.write(1, count: 4_096, at: 0, to: file))
        try bench.run(bench.write(2, count: 4_096, at: 8_192, to: file))
        let zeros = [UInt8](repeating: 0, count: 4_096)
        let expected = pageBytes.map { _ in 1 } + zeros + pageBytes.map { _ in 2 }
        #expect(try bench.contents == expected)
        let read = try bench.run(bench.read(12_288, at: 0, of: file))
        #expect(read.map(\.result.count) == [12_288] && read[0].request.buffer.contents == expected)
    }

    @Test(arguments: DiskKernel.here)
    func `a read ends at the end of the file, and the rest of the block is zeros`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes + pageBytes)
        let file = try bench.open()
        try bench.truncate(to: 5_000)
        for (offset, count) in [(Int64(0), 5_000), (4_096, 904), (4_608, 392)] {
            let read = try bench.run(bench.read(8_192, at: offset, of: file))
            #expect(read.map(\.result.count) == [count])
            let block = 8_192 - Int(offset)
            let expected = [UInt8](repeating: 7, count: count) + [UInt8](repeating: 0, count: block - count)
            #expect(Array(read[0].request.buffer.contents[..<block]) == expected)
        }
    }

    @Test(arguments: DiskKernel.here, [(5_120, 512), (1 << 20, 4_096), (100_001, 4_096), (8_192, 100)])
    func `reading behind the end gives nothing, at once, aligned or not`(
        which: DiskKernel, place: (offset: Int64, count: Int)
    ) throws {
        let bench = try DiskBench(which, contents: pageBytes + [1, 2, 3])
        for nonblocking in [false, true] {
            let read = try bench.read(
                place.count, at: place.offset, of: bench.open(), nonblocking: nonblocking)
            let result = try bench.submit(read)
            #expect(result.call.count == 1 && result.atOnce == [CallResult(rawValue: 0)])
        }
    }

    @Test(arguments: DiskKernel.here)
    func `a file that is cut off or removed is so for whoever has it open`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let file = try bench.open()
        try bench.truncate(to: 1_000)
        #expect(try bench.run(bench.read(4_096, at: 0, of: file)).map(\.result.count) == [1_000])
        try bench.truncate(to: 2_000)
        let read = try bench.run(bench.read(4_096, at: 0, of: file))
        #expect(read.map(\.result.count) == [2_000])
        #expect(
            read[0].request.buffer.contents[999...1_000] == [7, 0], "what was cut off does not come back")
        try bench.remove()
        #expect(try bench.run(bench.read(4_096, at: 0, of: file)).map(\.result.count) == [2_000])
        #expect { try bench.open() } throws: { error in
            error as? Errno == .noSuchFileOrDirectory || (error as? AIOError)?.code == .notFound
        }
    }

    // MARK: Alignment

    @Test(arguments: DiskKernel.here, [(1, 512), (0, 100), (256, 512), (4_000, 96)])
    func `what is not aligned is taken, and completes at once with EINVAL`(
        which: DiskKernel, place: (offset: Int64, count: Int)
    ) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let file = try bench.open()
        for nonblocking in [false, true] {
            for request in [
                try bench.read(place.count, at: place.offset, of: file, nonblocking: nonblocking),
                try bench.write(1, count: place.count, at: place.offset, to: file, nonblocking: nonblocking),
            ] {
                let result = try bench.submit(request)
                #expect(result.call.count == 1 && result.atOnce == [CallResult(.invalidArgument)])
            }
        }
        #expect(try bench.contents == pageBytes)
    }

    @Test(arguments: DiskKernel.here)
    func `no bytes are done at once, wherever they are`(which: DiskKernel) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let file = try bench.open()
        for offset in [Int64(0), 1, 1 << 20] {
            for request in [
                try bench.read(0, at: offset, of: file), try bench.write(1, count: 0, at: offset, to: file),
                try bench.write(1, count: 0, at: offset, to: file, nonblocking: true),
            ] {
                let result = try bench.submit(request)
                #expect(result.call.count == 1 && result.atOnce == [CallResult(rawValue: 0)])
            }
        }
        #expect(try bench.contents == pageBytes)
    }

    // MARK: RWF_NOWAIT

    @Test(arguments: DiskKernel.here)
    func `a nonblocking write that would have to allocate completes at once with EAGAIN, and writes nothing`(
        which: DiskKernel
    ) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        try bench.truncate(to: 16_384)
        let file = try bench.open(), before = try bench.contents
        // At the end, across it, behind it, where alignment would be an error otherwise, and into a hole.
        for (offset, count) in [
            (Int64(16_384), 4_096), (0, 32_768), (1 << 20, 512), (16_383, 512), (4_096, 4_096),
        ] {
            let result = try bench.submit(
                bench.write(1, count: count, at: offset, to: file, nonblocking: true))
            #expect(result.call.count == 1 && result.atOnce == [CallResult(.resourceTemporarilyUnavailable)])
        }
        #expect(try bench.contents == before)
    }

    @Test(arguments: DiskKernel.here)
    func `a nonblocking request that has to allocate nothing is done`(which: DiskKernel) throws {
        let bench = try DiskBench(which)
        let file = try bench.open()
        try bench.run(bench.write(1, count: 4_096, at: 0, to: file))
        try bench.truncate(to: 12_288)
        try bench.run(bench.write(2, count: 4_096, at: 8_192, to: file))
        for offset in [Int64(0), 8_192] {
            let write = try bench.write(3, count: 512, at: offset, to: file, nonblocking: true)
            #expect(try bench.run(write).map(\.result.count) == [512])
        }
        let read = try bench.run(bench.read(12_288, at: 0, of: file, nonblocking: true))
        #expect(read.map(\.result.count) == [12_288], "the hole too")
        #expect(read[0].request.buffer.contents == (try bench.contents))
    }

    // MARK: Files that are not opened direct

    @Test(arguments: DiskKernel.here)
    func `without O_DIRECT everything is done when the call returns, aligned or not`(which: DiskKernel) throws
    {
        let bench = try DiskBench(which, contents: pageBytes)
        let file = try bench.open(direct: false)
        let write = try bench.submit(bench.write(1, count: 100, at: 4_090, to: file))
        #expect(write.call.count == 1 && write.atOnce == [CallResult(rawValue: 100)])
        #expect(try bench.contents == pageBytes[..<4_090] + [UInt8](repeating: 1, count: 100))
        let request = try bench.read(300, at: 4_000, of: file)
        let read = try bench.submit(request)
        #expect(read.call.count == 1 && read.atOnce == [CallResult(rawValue: 190)])
        #expect(
            request.buffer.contents[89...90] == [7, 1] && request.buffer.contents[189...190] == [1, 0xff])
    }

    @Test(arguments: DiskKernel.here)
    func `without O_DIRECT a nonblocking write completes with EOPNOTSUPP, and a read may do so with EAGAIN`(
        which: DiskKernel
    ) throws {
        let bench = try DiskBench(which, contents: pageBytes)
        let file = try bench.open(direct: false)
        let write = try bench.submit(bench.write(1, count: 10, at: 0, to: file, nonblocking: true))
        #expect(write.call.count == 1 && write.atOnce == [CallResult(.notSupported)])
        let read = try bench.submit(bench.read(10, at: 0, of: file, nonblocking: true))
        let answers = [CallResult(rawValue: 10), CallResult(.resourceTemporarilyUnavailable)]
        #expect(read.call.count == 1 && read.atOnce.count == 1 && answers.contains(read.atOnce[0]))
        #expect(try bench.contents == pageBytes)
    }
}
