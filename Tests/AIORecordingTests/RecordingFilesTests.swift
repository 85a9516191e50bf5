// Recordings in files, as a whole.

import AIOBytes
import AIOKernel
import AIORecording
import Foundation
import SystemPackage
import Testing

/// A directory of its own for a test, gone afterwards.
func withDirectory<Result>(_ body: (FilePath) async throws -> Result) async throws -> Result {
    let url = FileManager.default.temporaryDirectory.appending(path: "aio-recording-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: url) }
    return try await body(FilePath(url.path))
}

@Suite struct RecordingFilesTests {
    @Test func `what is written is read, and others may not read it`() async throws {
        try await withDirectory { directory in
            let path = directory.appending("one.recording")
            var chance = SplitMix64(state: 5)
            let recording = Recording.random(&chance)
            try recording.write(to: path)
            #expect(try Recording(contentsOf: path) == recording)
            let mode =
                try FileManager.default.attributesOfItem(atPath: path.string)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func `a file that is there is not touched`() async throws {
        try await withDirectory { directory in
            let path = directory.appending("one.recording")
            try Recording().write(to: path)
            let error = #expect(throws: AIOError.self) {
                try Recording(events: [.init(microseconds: 0, .client, .end)]).write(to: path)
            }
            #expect(error?.errno == .fileExists)
            #expect(try Recording(contentsOf: path) == Recording())
        }
    }

    @Test func `a file that is too large, or not there, or none, is an error`() async throws {
        try await withDirectory { directory in
            let path = directory.appending("one.recording")
            let missing = #expect(throws: AIOError.self) { try Recording(contentsOf: path) }
            #expect(missing?.code == .notFound)
            try Recording().write(to: path)
            let tooLarge = #expect(throws: AIOError.self) {
                try Recording(contentsOf: path, byteCountMax: 15)
            }
            #expect(tooLarge?.code == .tooLarge)
            #expect(throws: Never.self) { try Recording(contentsOf: path, byteCountMax: 16) }
            try Data("nonsense\n".utf8).write(to: URL(filePath: path.string))
            #expect(throws: RecordingFormatError.self) { try Recording(contentsOf: path) }
        }
    }

    @Test func `a file longer than one read is read whole`() async throws {
        try await withDirectory { directory in
            let path = directory.appending("long.recording")
            let bytes = Bytes((0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
            let recording = Recording(events: [.init(microseconds: 9, .server, .bytes(bytes))])
            try recording.write(to: path)
            #expect(try Recording(contentsOf: path) == recording)
        }
    }
}
