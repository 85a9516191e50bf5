// Files that are there when the client has been told so, and not otherwise.

import AIO
import AIOTesting
import SystemPackage
import Testing

@testable import SMTPSinkCore

@Suite struct FileStoreTests {
    @Test func `a message is one file with its trace in front`() async throws {
        let directory = try StoreDirectory()
        let store = try FileStore(directory: directory.path)
        try await withSink(.testing(store)) { peer in
            try await peer.send(envelope)
            try await peer.expect(Replies.envelope)
            try await peer.send("Subject: x\r\n\r\n..\r\n.\r\n")
            try await peer.expect("250 2.0.0 taken as ")
            await peer.settle()
            let names = try directory.names
            #expect(names.count == 1 && names[0].hasSuffix("-000001.eml"))
            let text = try directory.text(of: names[0])
            #expect(
                text.hasPrefix(
                    "Return-Path: <a@b.test>\r\nX-Envelope-To: <c@d.test>\r\nReceived: from client.test ("))
            #expect(text.hasSuffix("13 Feb 2009 23:31:30 +0000\r\nSubject: x\r\n\r\n.\r\n"))
            peer.close()
        }
    }

    @Test(arguments: 0...34) func `a reset in the middle of a message leaves no file`(after byteCount: Int)
        async throws
    {
        let directory = try StoreDirectory()
        let store = try FileStore(directory: directory.path)
        let text: Bytes = "Subject: a line\r\n\r\nand another\r\n.\r\n"
        try await withSink(.testing(store)) { peer in
            try await peer.send(envelope)
            try await peer.expect(Replies.envelope)
            if byteCount > 0 { try await peer.send(text.prefix(byteCount)) }
            await peer.settle()
            peer.reset()
        }
        #expect(try directory.names.count == (byteCount == text.count ? 1 : 0))
    }

    @Test func `a long message that is reset had a file, and has none`() async throws {
        let directory = try StoreDirectory()
        let store = try FileStore(directory: directory.path)
        let line = Bytes(String(repeating: "x", count: 98) + "\r\n")
        try await withSink(
            .testing(store) { $0.rules.messageByteCountMax = 1 << 20 }, sayingHello: false
        ) { peer in
            try await peer.send("HELO x\r\n")
            try await peer.expect("250 mail.test greets x\r\n")
            try await peer.send(envelope)
            try await peer.expect(Replies.envelope)
            for _ in 0..<20 { try await peer.send(Bytes(joining: Array(repeating: line, count: 100))) }
            await peer.settle()
            let names = try directory.names
            #expect(names.count == 1 && names[0].hasPrefix(".") && names[0].hasSuffix(".partial"))
            peer.reset()
            await peer.settle()
        }
        #expect(try directory.names == [])
    }

    @Test func `an empty message is a file, too`() async throws {
        let directory = try StoreDirectory()
        try await withSink(.testing(try FileStore(directory: directory.path))) { peer in
            try await peer.send("\(envelope).\r\n")
            try await peer.expect("\(Replies.envelope)250 2.0.0 taken as ")
            await peer.settle()
            let names = try directory.names
            #expect(names.count == 1)
            #expect(try directory.text(of: names[0]).hasSuffix("23:31:30 +0000\r\n"))
            peer.close()
        }
    }

    @Test func `a message that cannot be written is a 451, and the next can be`() async throws {
        let directory = try StoreDirectory()
        let store = try FileStore(directory: directory.path)
        try directory.delete()
        try await withSink(.testing(store)) { peer in
            for _ in 0..<2 {
                try await peer.send(envelope)
                try await peer.expect(Replies.envelope)
                try await peer.send("x\r\n.\r\n")
                try await peer.expect("451 4.3.0 the message could not be stored; try again later\r\n")
            }
            peer.close()
        }
    }

    @Test func `the directory has to be there`() {
        #expect(throws: AIOError.self) { try FileStore(directory: "/nonexistent/store") }
        #expect(throws: AIOError.self) { try FileStore(directory: "/etc/passwd") }
    }

    @Test func `a file that is let go of before it is whole is deleted`() throws {
        let directory = try StoreDirectory()
        do {
            let file = MessageFile(
                temporary: directory.path.appending("partial"), final: directory.path.appending("final"),
                directory: directory.path)
            try file.append("x", header: "h")
            #expect(try directory.names == ["partial"])
        }
        #expect(try directory.names == [])
    }

    @Test func `what a name is taken by is not overwritten while it is written`() throws {
        let directory = try StoreDirectory()
        func file() -> MessageFile {
            MessageFile(
                temporary: directory.path.appending("partial"), final: directory.path.appending("final"),
                directory: directory.path)
        }
        let first = file()
        try first.append("one", header: "")
        #expect(throws: Errno.fileExists) { try file().append("two", header: "") }
        try first.append(" more", header: "")
        try first.commit()
        #expect(try directory.names == ["final"])
        #expect(try directory.text(of: "final") == "one more")
        #expect(throws: Errno.badFileDescriptor) { try first.append("late", header: "") }
        first.discard()
        #expect(try directory.names == ["final"])
    }
}
