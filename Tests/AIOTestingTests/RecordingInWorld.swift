// Recordings made in a simulated world, by a proxy between a scripted peer and a server; and what a replay shows.

import AIO
import AIORecording
import AIOTesting
import Testing

extension Connection {
    /// Calls `body` with each line that comes, without its end, until it returns false. Whether it did.
    func forEachLine(_ body: (Substring) async throws -> Bool) async throws -> Bool {
        var text = ""
        for try await bytes in chunks {
            text += String(decoding: bytes, as: UTF8.self)
            // A carriage return and a line feed are one character.
            while let end = text.firstIndex(of: "\r\n") {
                let line = text[..<end]
                text = String(text[text.index(after: end)...])
                guard try await body(line) else { return true }
            }
        }
        return false
    }
}

/// What a recording proxy writes down of a scripted peer and a server, in the world that the task is part of.
func record(
    on executor: HandlerExecutor = .worker, limits: ConnectionLimits? = nil,
    serving handler: @escaping @Sendable (Connection) async throws -> Void,
    _ script: (MockPeer, Simulation) async throws -> Void
) async throws -> Recording {
    let recorder = ConnectionRecorder()
    var options = ServerOptions(), clientOptions = ClientOptions()
    options.executor = executor
    clientOptions.executor = executor
    options.connection = limits
    clientOptions.connection = limits
    try await withSimulation { [options, clientOptions] world in
        // That its connection is reset is no failure of the test's.
        world.host("origin").run { aio in
            try await aio.serve(on: "*:80") { connection in try? await handler(connection) }
        }
        world.host("proxy").run { aio in
            try await aio.serve(on: "*:81", options: options) { client in
                try await aio.connect(to: "origin:80", options: clientOptions) { server in
                    _ = try await recordingRelay(client, server, into: recorder)
                }
            }
        }
        try await world.advance(by: .milliseconds(1))
        let peer = try await world.host("client").connect(to: "proxy:81")
        try await script(peer, world)
        try await world.wait(for: "the end of the recording") { recorder.ending != nil }
        peer.close()
    }
    return try #require(recorder.recording)
}

/// What a replay that records a mismatch showed; nil if it passed.
func replayMismatch(_ body: () async throws -> Void) async throws -> String? {
    var text: String?
    var failure: (any Error)?
    await withKnownIssue(isIntermittent: true) {
        do {
            try await body()
        } catch let error as PeerMismatch {
            text = error.description
        } catch {
            failure = error
        }
    }
    if let failure { throw failure }
    return text
}

/// What a handler read. Sendable, unchecked: of one simulation's thread.
final class Heard: @unchecked Sendable {
    private(set) var bytes = Bytes()
    func add(_ more: Bytes) { bytes = Bytes(joining: [bytes, more]) }
}
