// The code of docs/testing.md that is not in Playground/tally; and that all of the page's code is in one of the two, to the letter.

import AIO
import AIOTesting
import Foundation
import SystemPackage
import Testing

@Test func `the guide's connected pair`() async throws {
    try await withConnectedPair { client, server in
        try await client.write("hello")
        #expect(try await server.read() == "hello")
    }
}

@Test(.simulated(seeds: 0..<10)) func `the guide's fault`() async throws {
    try await withSimulation { world in
        let rule = world.host("server").faults.add(times: 2) { call in
            call.name == .accept ? .fail(.tooManyOpenFiles) : nil
        }
        defer { rule.end() }
        world.host("server").run { aio in
            try await aio.serve(on: "*:80") { try await $0.write("here") }
        }
        try await world.advance(by: .milliseconds(1))
        let peer = try await world.host("client").connect(to: "server:80")
        try await peer.expect("here", within: .seconds(1))
        #expect(rule.useCount == 2)
        peer.close()
    }
}

@Suite struct GuideTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test func `the guide shows code that is built and run`() throws {
        let sources = try [
            "Playground/tally/Package.swift", "Playground/tally/Sources/Tally/Tally.swift",
            "Playground/tally/Sources/tally-server/main.swift",
            "Playground/tally/Tests/TallyTests/TallyTests.swift", "Tests/AIOTestingTests/GuideTests.swift",
        ].map(Self.text)
        let blocks = try Self.text("docs/testing.md").components(separatedBy: "```swift\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }
        #expect(blocks.count > 10)
        for block in blocks { #expect(sources.contains { $0.contains(block) }, "\(block)") }
    }
}
