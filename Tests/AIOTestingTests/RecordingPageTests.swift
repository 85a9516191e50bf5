// What docs/recording.md shows: the file is one, and what is said about a replay of it is what a replay says.

import AIO
import AIORecording
import AIOTesting
import Foundation
import Testing

/// What the page's server did.
private func mail(_ connection: Connection, ehlo: Bytes) async throws {
    try await connection.write("220 mail.example.org ready\r\n")
    _ = try await connection.forEachLine { line in
        try await connection.write(line == "QUIT" ? "221 bye\r\n" : ehlo)
        return line != "QUIT"
    }
}

@Suite struct RecordingPageTests {
    /// The blocks of the page that are no Swift.
    private func blocks() throws -> [String] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/recording.md"), encoding: .utf8)
        return page.components(separatedBy: "```\n").filter { !$0.contains("```") }
    }

    private func recording() throws -> Recording {
        let text = try #require(try blocks().first { $0.hasPrefix("aio-recording") })
        let recording = try Recording(parsing: text)
        #expect(recording.text == text, "as a recorder writes it")
        return recording
    }

    @Test(.simulated(seeds: 0..<20)) func `the recording on the page is one, and can be replayed`()
        async throws
    {
        try await withReplay(of: try recording(), arrival: .drawn) { connection in
            try await mail(connection, ehlo: "250-mail.example.org\r\n250 SIZE 1000\r\n")
        }
    }

    @Test func `a replay that fails says what the page says`() async throws {
        let recording = try recording()
        let shown = try await replayMismatch {
            try await withReplay(of: recording) { connection in
                try await mail(connection, ehlo: "500 what?\r\n")
            }
        }
        let said = try #require(try blocks().first { $0.hasPrefix("in event") })
        let lines = said.split(separator: "\n"), shownLines = try #require(shown).split(separator: "\n")
        // How much had come when the difference was seen is a matter of chance.
        for index in [0, 1, 3] { #expect(shownLines[index] == lines[index]) }
        #expect(lines[2].dropLast().hasPrefix(shownLines[2].dropLast()))
    }
}
