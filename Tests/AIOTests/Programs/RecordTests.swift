// The program `record`, run as a user runs it, before a real server.

import AIO
import AIORecording
import Foundation
import SystemPackage
import Testing

extension Loopback {
    @Suite struct RecordTests {
        @Test func `record forwards connections, and writes a file for each of the first`() async throws {
            let directory = FileManager.default.temporaryDirectory.appending(
                path: "record-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(at: directory) }
            try await withProactor { aio in
                let upstream = try await aio.listen(on: "127.0.0.1:0")
                async let served = upstream.serve { connection in
                    let request = try await connection.readAll(atMost: 1 << 20)
                    try await connection.write(["you said ", request])
                }
                let program = try Program(
                    "record",
                    [
                        "--listen", "127.0.0.1:0", "--to", "\(upstream.endpoint)", "--into", directory.path,
                        "--recordings-max", "2",
                    ])
                defer { program.kill() }
                let endpoint = try #require(await program.listeningEndpoint())
                for word in ["one", "two", "three"] {
                    try await aio.connect(to: endpoint) { connection in
                        try await connection.write(Bytes(word))
                        connection.finish()
                        #expect(try await connection.readAll(atMost: 1_000) == "you said \(word)")
                    }
                }
                #expect(await program.end() == 0)
                upstream.drain(within: .seconds(5))
                #expect(try await served.completed == 3)
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
            #expect(names.count == 2 && names.allSatisfy { $0.hasSuffix(".recording") })
            for (name, word) in zip(names, ["one", "two"]) {
                let recording = try Recording(contentsOf: FilePath(directory.path).appending(name))
                #expect(recording.bytes(from: .client) == Bytes(word))
                #expect(recording.bytes(from: .server) == "you said \(word)")
                #expect(recording.isComplete)
            }
        }

        @Test func `record says so if there is no such directory, and fails`() async throws {
            let program = try Program("record", ["--to", "127.0.0.1:1", "--into", "/nowhere"])
            #expect(await program.output().contains("notFound: open(/nowhere)"))
            #expect(await program.end() != 0)
        }
    }
}
