// BDAT (RFC 3030): chunks, and what becomes of the bytes of refused ones.

import AIO
import AIOTesting
import SMTPSinkCore
import Testing

@Suite struct ChunkingTests {
    private let addressed: Bytes = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
    private let addressedReplies: Bytes = "\(Replies.mail)\(Replies.recipient)"

    @Test func `chunks are one message, byte for byte, wherever the stream is split`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store), arrival: .everySplit) { peer in
            store.empty()
            try await peer.send("\(addressed)BDAT 6\r\n.\r\nNO\rBDAT 4\r\n\nOP\rBDAT 1 LAST\r\n\nNOOP\r\n")
            try await peer.expect("\(addressedReplies)250 2.0.0 6 bytes taken\r\n250 2.0.0 4 bytes taken\r\n")
            try await peer.expect("\(Replies.taken)\(Replies.noop)")
            #expect(store.messages == [".\r\nNO\r\nOP\r\n"])
        }
    }

    @Test func `a last chunk may be empty, and so may the message`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store)) { peer in
            try await peer.send("\(addressed)BDAT 3\r\nx\r\nBDAT 0 LAST\r\n\(addressed)BDAT 0 LAST\r\n")
            try await peer.expect("\(addressedReplies)250 2.0.0 3 bytes taken\r\n\(Replies.taken)")
            try await peer.expect("\(addressedReplies)\(Replies.taken)")
        }
        #expect(store.messages == ["x\r\n", ""])
    }

    @Test func `the bytes of a refused chunk are no commands`() async throws {
        let refusal: Bytes = "503 5.5.1 MAIL and RCPT come before BDAT\r\n"
        try await withSink(.testing(MemoryStore()), arrival: .everySplit) { peer in
            try await peer.send("BDAT 6\r\nNOOP\r\nBDAT 0 LAST\r\nNOOP\r\n")
            try await peer.expect("\(refusal)\(refusal)\(Replies.noop)")
        }
    }

    @Test func `the chunk that makes the message too large is refused, and those behind it`() async throws {
        let store = MemoryStore()
        let line = Bytes(String(repeating: "x", count: 598) + "\r\n")
        try await withSink(.testing(store)) { peer in
            try await peer.send(
                "\(addressed)BDAT 600\r\n\(line)BDAT 600\r\n\(line)BDAT 600 LAST\r\n\(line)NOOP\r\n")
            try await peer.expect("\(addressedReplies)250 2.0.0 600 bytes taken\r\n\(Replies.tooLarge)")
            try await peer.expect("503 5.5.1 MAIL and RCPT come before BDAT\r\n\(Replies.noop)")
        }
        #expect(store.messages == [])
        #expect(store.discardedCount == 1)
    }

    @Test(arguments: ["RSET\r\n", "EHLO client.test\r\n"]) func `what forgets chunks drops them`(line: String)
        async throws
    {
        let store = MemoryStore()
        try await withSink(.testing(store)) { peer in
            try await peer.send("\(addressed)BDAT 3\r\nx\r\nDATA\r\n\(line)")
            try await peer.expect("\(addressedReplies)250 2.0.0 3 bytes taken\r\n")
            try await peer.expect("503 5.5.1 a message that has begun with BDAT goes on with it\r\n")
            try await peer.expect(line == "RSET\r\n" ? Replies.reset : Replies.hello)
            try await peer.send("\(addressed)BDAT 3 LAST\r\ny\r\n")
            try await peer.expect("\(addressedReplies)\(Replies.taken)")
        }
        #expect(store.messages == ["y\r\n"])
        #expect(store.discardedCount == 1)
    }

    @Test(.simulated(seeds: 0..<20)) func `a reset between chunks drops them`() async throws {
        let store = MemoryStore()
        try await withSink(.testing(store)) { peer in
            try await peer.send("\(addressed)BDAT 3\r\nx\r\n")
            try await peer.expect("\(addressedReplies)250 2.0.0 3 bytes taken\r\n")
            peer.reset()
        }
        #expect(store.messages == [])
        #expect(store.discardedCount == 1)
    }

    @Test func `after a count that is none the connection ends`() async throws {
        try await withSink(.testing(MemoryStore())) { peer in
            try await peer.send("BDAT many LAST\r\nNOOP\r\n")
            try await peer.expect("501 5.5.4 BDAT needs a count of bytes, and perhaps LAST\r\n")
            try await peer.expectEnd()
        }
    }
}
