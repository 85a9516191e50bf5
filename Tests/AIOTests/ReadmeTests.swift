// The README's example is a program of the package: what stands in the README is what is built and run here.

import AIO
import Foundation
import Testing

extension Loopback {
    @Suite struct ReadmeTests {
        /// The repository, from where this file was compiled.
        private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()

        @Test(arguments: ["hello-events", "hello-server"])
        func `The README shows its programs to the letter`(name: String) throws {
            let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
            let program = try String(
                contentsOf: root.appending(path: "Playground/\(name)/main.swift"), encoding: .utf8)
            let blocks = readme.components(separatedBy: "```swift\n").dropFirst()
                .compactMap { $0.components(separatedBy: "```").first }
            #expect(blocks.contains(program))
        }

        @Test(arguments: ["hello-events", "hello-server"])
        func `The programs in the README greet a connection and echo what it sends`(name: String) async throws
        {
            let program = try Program(name, ["127.0.0.1:0"])
            let port = try await Self.listeningPort(ofProcess: program.identifier)
            try await withProactor { aio in
                let connection = try aio.events.connect(to: "127.0.0.1:\(port)")
                var received: [Bytes] = []
                for await event in aio.events {
                    switch event {
                    case .connected(let connection): connection.send("shout\r\n")
                    case .received(let bytes, _): received.append(bytes)
                    case .closed(_, let reason): Issue.record("closed: \(reason)")
                    default: break
                    }
                    if Bytes(joining: received) == "hello\r\nshout\r\n" { break }
                    if case .closed = event { break }
                }
                #expect(Bytes(joining: received) == "hello\r\nshout\r\n")
                connection.close()
            }
            _ = await program.end()
        }

        /// The port on which a process listens, from its own network tables: what it prints stays in its buffer.
        private static func listeningPort(ofProcess id: Int32) async throws -> Int {
            while true {
                let sockets = Set(
                    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/fd"))?.compactMap {
                        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/fd/\($0)")
                    } ?? [])
                let table = (try? String(contentsOfFile: "/proc/\(id)/net/tcp", encoding: .utf8)) ?? ""
                for line in table.split(separator: "\n").dropFirst() {
                    let fields = line.split(separator: " ")
                    // Local address, state 0A (listening), inode.
                    guard fields.count > 9, fields[3] == "0A", sockets.contains("socket:[\(fields[9])]")
                    else {
                        continue
                    }
                    if let port = Int(fields[1].split(separator: ":")[1], radix: 16) { return port }
                }
                await Task.yield()
            }
        }
    }
}
