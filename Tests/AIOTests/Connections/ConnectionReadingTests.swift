// Straight-line reads: what each of them hands out, and that nothing is lost between them.

import AIO
import Testing

extension Loopback {
    @Suite struct ConnectionReadingTests {
        @Test(arguments: HandlerExecutor.all)
        func `chunks brings every byte in order, and ends with the peer's end`(_ executor: HandlerExecutor)
            async throws
        {
            let total = isSanitized ? 1 << 20 : 8 << 20
            let count = try await serving(.testing(executor)) { connection in
                var position = 0
                for try await chunk in connection.chunks {
                    guard !chunk.isEmpty, Pattern.matches(chunk, at: position) else {
                        throw PatternBroken(position: position)
                    }
                    position += chunk.count
                }
                #expect(try await connection.read() == nil, "the end stays the end")
                return position
            } peer: { peer, _ in
                try await peer.sendPattern(total)
                peer.finish()
            }
            #expect(count == total)
        }

        @Test func `chunks can be left and begun again, and hands out each piece once`() async throws {
            let text = try await serving { connection in
                var text = ""
                for try await chunk in connection.chunks {
                    text += String(decoding: chunk, as: UTF8.self) + "|"
                    break
                }
                try await connection.write("got it")
                for try await chunk in connection.chunks { text += String(decoding: chunk, as: UTF8.self) }
                return text
            } peer: { peer, _ in
                try peer.send("first")
                #expect(try await onThread { try peer.receiveText(6) } == "got it")
                try peer.send("second")
                peer.finish()
            }
            #expect(text == "first|second")
        }

        @Test func `read takes no more than it was told to`() async throws {
            let pieces = try await serving { connection in
                #expect(try await connection.peek(atLeast: 10) == "0123456789")
                var pieces: [Bytes] = []
                while let piece = try await connection.read(atMost: 3) { pieces.append(piece) }
                return pieces
            } peer: { peer, _ in
                try peer.send("0123456789")
                peer.finish()
            }
            #expect(pieces == ["012", "345", "678", "9"])
        }

        @Test func `a read of less than one byte is refused, and leaves what is there`() async throws {
            try await serving { connection in
                _ = try await connection.peek()
                for count in [0, -1] {
                    #expect(await code { _ = try await connection.read(atMost: count) } == .invalidArgument)
                }
                #expect(await code { _ = try await connection.read(exactly: -1) } == .invalidArgument)
                #expect(try await connection.read(exactly: 0) == "")
                #expect(try await connection.read() == "here")
            } peer: { peer, _ in
                try peer.send("here")
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `read exactly puts pieces together`(_ executor: HandlerExecutor) async throws {
            try await serving(.testing(executor)) { connection in
                var position = 0
                for count in [1, 7, 100, 1_000, 3] {
                    let bytes = try #require(try await connection.read(exactly: count))
                    #expect(bytes == Pattern.bytes(at: position, count: count))
                    position += count
                    // The next bytes are sent now, one at a time.
                    try await connection.write(".")
                }
                #expect(try await connection.read(exactly: 1) == nil)
            } peer: { peer, _ in
                try await onThread {
                    var position = 0
                    for count in [1, 7, 100, 1_000, 3] {
                        for _ in 0..<count {
                            try peer.send(Array(Pattern.bytes(at: position, count: 1)))
                            position += 1
                        }
                        _ = try peer.receive(1)
                    }
                    peer.finish()
                }
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `read exactly may want more than the receive window`(_ executor: HandlerExecutor) async throws {
            let each = 100_000
            try await serving(.testing(executor) { $0.receiveWindow = 1_000 }) { connection in
                for index in 0..<5 {
                    let bytes = try #require(try await connection.read(exactly: each))
                    #expect(bytes == Pattern.bytes(at: index * each, count: each))
                    // In between the window is the narrow one again.
                    let small = try #require(try await connection.peek())
                    #expect(Pattern.matches(small, at: (index + 1) * each))
                }
            } peer: { peer, _ in
                try await peer.sendPattern(6 * each)
            }
        }

        @Test func `read exactly goes on if the window is full of less than it wants`() async throws {
            // After a part was taken the window is more than half full, so nobody would read on for that.
            try await serving(.testing { $0.receiveWindow = 1_000 }) { connection in
                #expect(try await connection.peek(atLeast: 1_000)?.count == 1_000)
                #expect(await eventually { connection.proactor?.statistics.total.readPauses ?? 0 >= 1 })
                #expect(try await connection.read(atMost: 300) == Pattern.bytes(at: 0, count: 300))
                let bytes = try await connection.withTimeout(.seconds(10)) {
                    try await connection.read(exactly: 900)
                }
                #expect(bytes == Pattern.bytes(at: 300, count: 900))
            } peer: { peer, _ in
                try await peer.sendPattern(50_000)
            }
        }

        @Test func `an end in the middle is an error of read exactly, and what came stays`() async throws {
            try await serving { connection async throws in
                let error = await outcome { try await connection.read(exactly: 10) }
                #expect(error.code == .connectionClosedEarly)
                #expect(await code { _ = try await connection.read(exactly: 5) } == .connectionClosedEarly)
                #expect(try await connection.read(exactly: 3) == "abc")
                #expect(try await connection.read() == "d")
                #expect(try await connection.read(exactly: 1) == nil)
                #expect(try await connection.read() == nil)
            } peer: { peer, _ in
                try peer.send("abcd")
                peer.finish()
            }
        }

        @Test func `an end before the first byte is no error`() async throws {
            try await serving { connection async throws in
                #expect(try await connection.read(exactly: 10) == nil)
                #expect(try await connection.readAll(atMost: 10) == "")
                #expect(try await connection.peek(atLeast: 10) == nil)
                #expect(try await connection.read() == nil)
            } peer: { peer, _ in
                peer.finish()
            }
        }

        @Test func `more at once than memory allows is refused before waiting`() async throws {
            try await serving { connection in
                let tooMuch = (64 << 20) / 2 + 1
                #expect(await code { _ = try await connection.read(exactly: tooMuch) } == .limitReached)
                #expect(await code { _ = try await connection.readAll(atMost: tooMuch) } == .limitReached)
                #expect(await code { _ = try await connection.peek(atLeast: tooMuch) } == .limitReached)
            } peer: { _, _ in
            }
        }

        @Test(arguments: [1_000, 65_536])
        func `readAll brings everything up to the end`(window: Int) async throws {
            let total = 300_000
            let all = try await serving(.testing { $0.receiveWindow = window }) { connection in
                try await connection.readAll(atMost: total)
            } peer: { peer, _ in
                try await peer.sendPattern(total)
                peer.finish()
            }
            #expect(all == Pattern.bytes(at: 0, count: total))
        }

        @Test func `readAll gives up at its limit, and everything can still be read`() async throws {
            let total = 5_000
            let count = try await serving(.testing { $0.receiveWindow = 100 }) { connection in
                #expect(await code { _ = try await connection.readAll(atMost: 1_000) } == .limitReached)
                var position = 0
                for try await chunk in connection.chunks {
                    #expect(Pattern.matches(chunk, at: position))
                    position += chunk.count
                }
                return position
            } peer: { peer, _ in
                try await peer.sendPattern(total)
                peer.finish()
            }
            #expect(count == total)
        }

        @Test func `peek takes nothing, and is short only before the end`() async throws {
            try await serving { connection in
                #expect(try await connection.peek(atLeast: 4)?.prefix(4) == "abcd")
                try await connection.write(".")
                #expect(try await connection.peek(atLeast: 6) == "abcdef")
                #expect(try await connection.read(atMost: 5) == "abcde")
                // The end comes while it waits for a second byte.
                #expect(try await connection.peek(atLeast: 2) == "f")
                #expect(try await connection.peek(atLeast: 0) == "f")
                #expect(try await connection.read() == "f")
                #expect(try await connection.peek() == nil)
            } peer: { peer, _ in
                try peer.send("ab")
                try peer.send("cd")
                _ = try await onThread { try peer.receive(1) }
                try peer.send("ef")
                peer.finish()
            }
        }

        @Test func `peek may want more than the window, and reading goes on behind it`() async throws {
            let total = 100_000
            let count = try await serving(.testing { $0.receiveWindow = 1_000 }) { connection in
                #expect(
                    try await connection.peek(atLeast: 10_000)?.prefix(10_000)
                        == Pattern.bytes(at: 0, count: 10_000))
                var position = 0
                while let bytes = try await connection.read(atMost: 700) {
                    #expect(Pattern.matches(bytes, at: position))
                    position += bytes.count
                }
                return position
            } peer: { peer, _ in
                try await peer.sendPattern(total)
                peer.finish()
            }
            #expect(count == total)
        }

        @Test func `the peer ends first, and still gets its answer`() async throws {
            let request = try await serving { connection in
                let request = try await connection.readAll(atMost: 100)
                try await connection.write("re: \(request)")
                return request
            } peer: { peer, _ in
                try peer.send("request")
                peer.finish()
                #expect(try await onThread { try peer.receiveToEnd() } == Array("re: request".utf8))
            }
            #expect(request == "request")
        }
    }
}
