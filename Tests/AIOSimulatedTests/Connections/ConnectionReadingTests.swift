// Straight-line reads: what each of them hands out, and that nothing is lost between them.

import AIO
import AIOTesting
import Testing

@Suite struct ConnectionReadingTests {
    /// In which pieces a long stream may arrive.
    private static let arrivals: [Arrival] = [.asSent, .drawn, .together, .chaos]

    @Test(.simulated(seeds: 0..<8), arguments: HandlerExecutor.everywhere, arrivals)
    func `chunks brings every byte in order, and ends with the peer's end`(
        _ executor: HandlerExecutor, _ arrival: Arrival
    ) async throws {
        let total = 100_000
        let count = try await serving(.on(executor), arrival: arrival) { connection in
            var position = 0
            for try await chunk in connection.chunks {
                guard !chunk.isEmpty, Tape.matches(chunk, at: position) else {
                    throw TapeBroken(position: position)
                }
                position += chunk.count
            }
            #expect(try await connection.read() == nil, "the end stays the end")
            return position
        } peer: { stage in
            try await stage.peer.sendTape(total)
            stage.peer.halfClose()
        }
        #expect(count == total)
    }

    @Test(.simulated(seeds: 0..<30))
    func `chunks can be left and begun again, and hands out each piece once`() async throws {
        let text = try await serving { connection in
            var text = ""
            for try await chunk in connection.chunks {
                text += String(decoding: chunk, as: UTF8.self) + "|"
                break
            }
            try await connection.write("got it")
            for try await chunk in connection.chunks { text += String(decoding: chunk, as: UTF8.self) }
            return text
        } peer: { stage in
            try await stage.peer.send("first")
            try await stage.peer.expect("got it")
            try await stage.peer.send("second")
            stage.peer.halfClose()
        }
        #expect(text == "first|second")
    }

    @Test(.simulated(seeds: 0..<30)) func `read takes no more than it was told to`() async throws {
        let pieces = try await serving { connection in
            #expect(try await connection.peek(atLeast: 10) == "0123456789")
            var pieces: [Bytes] = []
            while let piece = try await connection.read(atMost: 3) { pieces.append(piece) }
            return pieces
        } peer: { stage in
            try await stage.peer.send("0123456789")
            stage.peer.halfClose()
        }
        #expect(pieces == ["012", "345", "678", "9"])
    }

    @Test(.simulated(seeds: 0..<30))
    func `a read of less than one byte is refused, and leaves what is there`()
        async throws
    {
        try await serving { connection in
            _ = try await connection.peek()
            for count in [0, -1] {
                #expect(await code { _ = try await connection.read(atMost: count) } == .invalidArgument)
            }
            #expect(await code { _ = try await connection.read(exactly: -1) } == .invalidArgument)
            #expect(try await connection.read(exactly: 0) == "")
            #expect(try await connection.read() == "here")
        } peer: { stage in
            try await stage.peer.send("here")
        }
    }

    @Test(.simulated(seeds: 0..<20), arguments: HandlerExecutor.everywhere, [Arrival.oneByteAtATime, .chaos])
    func `read exactly puts pieces together`(_ executor: HandlerExecutor, _ arrival: Arrival) async throws {
        let counts = [1, 7, 100, 300, 3]
        try await serving(.on(executor), arrival: arrival) { connection in
            var position = 0
            for count in counts {
                let bytes = try #require(try await connection.read(exactly: count))
                #expect(bytes == Tape.bytes(at: position, count: count))
                position += count
                try await connection.write(".")
            }
            #expect(try await connection.read(exactly: 1) == nil)
        } peer: { stage in
            var position = 0
            for count in counts {
                try await stage.peer.sendTape(from: position, count)
                position += count
                try await stage.peer.expect(".")
            }
            stage.peer.halfClose()
        }
    }

    @Test(.simulated()) func `read exactly waits for the rest wherever what was sent is split`() async throws
    {
        try await withMockPeer(
            arrival: .everySplit,
            serving: { connection in
                while let length = try await connection.read(exactly: 1) {
                    let body = try #require(try await connection.read(exactly: Int(length[0]) - 48))
                    try await connection.write([body, "."])
                }
            }
        ) { peer in
            try await peer.send("3abc0")
            try await peer.send("1x")
            try await peer.expect("abc..x.")
            peer.halfClose()
            try await peer.expectEnd()
        }
    }

    // MARK: Larger than the window

    @Test(.simulated(seeds: 0..<8), arguments: HandlerExecutor.everywhere, arrivals)
    func `read exactly may want more than the receive window`(
        _ executor: HandlerExecutor, _ arrival: Arrival
    ) async throws {
        let each = 20_000
        try await serving(.on(executor) { $0.receiveWindow = 1_000 }, arrival: arrival) { connection in
            for index in 0..<5 {
                let bytes = try #require(try await connection.read(exactly: each))
                #expect(bytes == Tape.bytes(at: index * each, count: each))
                // In between the window is the narrow one again.
                let small = try #require(try await connection.peek())
                #expect(Tape.matches(small, at: (index + 1) * each))
            }
        } peer: { stage in
            try await stage.peer.sendTape(6 * each)
        }
    }

    @Test(.simulated(seeds: 0..<30))
    func `read exactly goes on if the window is full of less than it wants`() async throws {
        // After a part was taken the window is more than half full, so nobody would read on for that.
        let mayGoOn = Promise<Void>()
        try await serving(.on { $0.receiveWindow = 1_000 }, arrival: .together) { connection in
            #expect(try await connection.peek(atLeast: 1_000)?.count == 1_000)
            try await mayGoOn.value()
            #expect(try await connection.read(atMost: 300) == Tape.bytes(at: 0, count: 300))
            let bytes = try await connection.withTimeout(.seconds(10)) {
                try await connection.read(exactly: 900)
            }
            #expect(bytes == Tape.bytes(at: 300, count: 900))
        } peer: { stage in
            try await stage.peer.sendTape(50_000)
            await stage.settle()
            #expect(stage.total.bytesReceived == 1_000 && stage.total.readPauses >= 1)
            mayGoOn.keep()
        }
    }

    @Test(.simulated(seeds: 0..<20)) func `more at once than memory allows is refused before waiting`()
        async throws
    {
        try await serving(configure: { $0.inboundByteCountMax = 1 << 20 }) { connection in
            let tooMuch = (1 << 20) / 2 + 1
            #expect(await code { _ = try await connection.read(exactly: tooMuch) } == .limitReached)
            #expect(await code { _ = try await connection.readAll(atMost: tooMuch) } == .limitReached)
            #expect(await code { _ = try await connection.peek(atLeast: tooMuch) } == .limitReached)
        } peer: { _ in
        }
    }

    // MARK: The end

    @Test(.simulated(seeds: 0..<30), arguments: arrivals)
    func `an end in the middle is an error of read exactly, and what came stays`(_ arrival: Arrival)
        async throws
    {
        try await serving(arrival: arrival) { connection async throws in
            let error = await outcome { try await connection.read(exactly: 10) }
            #expect(error.code == .connectionClosedEarly)
            #expect(await code { _ = try await connection.read(exactly: 5) } == .connectionClosedEarly)
            #expect(try await connection.read(exactly: 3) == "abc")
            #expect(try await connection.read() == "d")
            #expect(try await connection.read(exactly: 1) == nil)
            #expect(try await connection.read() == nil)
        } peer: { stage in
            try await stage.peer.send("abcd")
            stage.peer.halfClose()
        }
    }

    @Test(.simulated(seeds: 0..<30)) func `an end before the first byte is no error`() async throws {
        try await serving { connection async throws in
            #expect(try await connection.read(exactly: 10) == nil)
            #expect(try await connection.readAll(atMost: 10) == "")
            #expect(try await connection.peek(atLeast: 10) == nil)
            #expect(try await connection.read() == nil)
        } peer: { stage in
            stage.peer.halfClose()
        }
    }

    @Test(.simulated(seeds: 0..<10), arguments: [1_000, 65_536], arrivals)
    func `readAll brings everything up to the end`(window: Int, _ arrival: Arrival) async throws {
        let total = 60_000
        let all = try await serving(.on { $0.receiveWindow = window }, arrival: arrival) { connection in
            try await connection.readAll(atMost: total)
        } peer: { stage in
            try await stage.peer.sendTape(total)
            stage.peer.halfClose()
        }
        #expect(all == Tape.bytes(count: total))
    }

    @Test(.simulated(seeds: 0..<20), arguments: arrivals)
    func `readAll gives up at its limit, and everything can still be read`(_ arrival: Arrival) async throws {
        let total = 5_000
        let count = try await serving(.on { $0.receiveWindow = 100 }, arrival: arrival) { connection in
            #expect(await code { _ = try await connection.readAll(atMost: 1_000) } == .limitReached)
            var position = 0
            for try await chunk in connection.chunks {
                #expect(Tape.matches(chunk, at: position))
                position += chunk.count
            }
            return position
        } peer: { stage in
            try await stage.peer.sendTape(total)
            stage.peer.halfClose()
        }
        #expect(count == total)
    }

    @Test(.simulated(seeds: 0..<30)) func `the peer ends first, and still gets its answer`() async throws {
        let request = try await serving { connection in
            let request = try await connection.readAll(atMost: 100)
            try await connection.write("re: \(request)")
            return request
        } peer: { stage in
            try await stage.peer.send("request")
            stage.peer.halfClose()
            #expect(try await stage.peer.receiveToEnd() == "re: request")
        }
        #expect(request == "request")
    }

    // MARK: Peeking

    @Test(.simulated(seeds: 0..<30)) func `peek takes nothing, and is short only before the end`()
        async throws
    {
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
        } peer: { stage in
            try await stage.peer.send("ab")
            try await stage.peer.send("cd")
            try await stage.peer.expect(".")
            try await stage.peer.send("ef")
            stage.peer.halfClose()
        }
    }

    @Test(.simulated(seeds: 0..<10), arguments: arrivals)
    func `peek may want more than the window, and reading goes on behind it`(_ arrival: Arrival) async throws
    {
        let total = 50_000
        let count = try await serving(.on { $0.receiveWindow = 1_000 }, arrival: arrival) { connection in
            #expect(
                try await connection.peek(atLeast: 10_000)?.prefix(10_000) == Tape.bytes(count: 10_000))
            var position = 0
            while let bytes = try await connection.read(atMost: 700) {
                #expect(Tape.matches(bytes, at: position))
                position += bytes.count
            }
            return position
        } peer: { stage in
            try await stage.peer.sendTape(total)
            stage.peer.halfClose()
        }
        #expect(count == total)
    }
}
