// A recording proxy between a server and a client, over real sockets.

import AIO
import AIOKernel
import AIORecording
import AIOWorkers

/// Runs a client against a server through a proxy that records.
/// - Returns: what the proxy's relay reported.
func recorded(
    by recorder: ConnectionRecorder, _ configuration: Proactor.Configuration = Proactor.Configuration(),
    serving handler: @escaping @Sendable (Connection) async throws -> Void,
    _ client: (Connection, Proactor) async throws -> Void
) async throws -> RelayReport {
    try await withProactor(configuration) { aio in
        let upstream = try await aio.listen(on: "127.0.0.1:0")
        let proxy = try await aio.listen(on: "127.0.0.1:0")
        let target = upstream.endpoint
        let report = Box<RelayReport>()
        async let served = upstream.serve(handler)
        async let proxied = proxy.serve { near in
            try await aio.connect(to: target) { far in
                report.value = try await recordingRelay(near, far, into: recorder)
            }
        }
        let result: Result<Void, any Error>
        do {
            result = .success(try await aio.connect(to: proxy.endpoint) { try await client($0, aio) })
        } catch {
            result = .failure(error)
        }
        proxy.drain(within: .seconds(20))
        _ = try await proxied
        upstream.drain(within: .seconds(20))
        _ = try await served
        try result.get()
        guard let report = report.value else { throw AIOError(.other, detail: "nothing was relayed") }
        return report
    }
}

/// A value that several threads set and read. Sendable, unchecked: under `lock`.
final class Box<Value: Sendable>: @unchecked Sendable {
    private let lock = PosixLock()
    private var held: Value?

    var value: Value? {
        get { lock.withLock { held } }
        set { lock.withLock { held = newValue } }
    }
}

extension Recording {
    /// What was done, without times; what one side sent in a row in one piece, since the network cuts it as it likes.
    var story: [String] {
        var lines: [(side: Side, bytes: Bytes?)] = []
        var story: [String] = []
        func flush() {
            if let line = lines.first, let bytes = line.bytes { story.append("\(line.side) \(bytes)") }
            lines = []
        }
        for event in events {
            switch event.action {
            case .bytes(let bytes):
                if let line = lines.first, line.side == event.side {
                    lines[0].bytes = Bytes(joining: [line.bytes ?? Bytes(), bytes])
                } else {
                    flush()
                    lines = [(event.side, bytes)]
                }
            case .end:
                flush()
                story.append("\(event.side) end")
            case .reset:
                flush()
                story.append("\(event.side) reset")
            }
        }
        flush()
        return story
    }
}
