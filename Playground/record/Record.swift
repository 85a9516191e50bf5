// A TCP forwarder that writes down what passes: a file a connection, to be read by people and replayed in tests
// (docs/recording.md).

import AIO
import AIORecording
import ArgumentParser
import Glibc
import SystemPackage

@main
struct Record: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: """
            Forwards TCP connections and records each in a file. Ends on Ctrl-C or SIGTERM, once its connections have ended.
            """)

    @Option(help: "Where to listen, as in 127.0.0.1:8001 or unix:/run/x.sock.")
    var listen = "127.0.0.1:8001"

    @Option(help: "Where to forward to, as in example.org:80.")
    var to: String

    @Option(help: "The directory for the recordings, which must be there.")
    var into: String

    @Option(help: "How many connections are recorded; those that come then are forwarded only.")
    var recordingsMax = 1_000

    @Option(help: "Where a recording ends, in bytes of its file; the connection goes on.")
    var byteCountMax = RecordingLimits().byteCountMax

    func run() async throws {
        let target = try Endpoint(parsing: to)
        var limits = RecordingLimits()
        limits.byteCountMax = byteCountMax
        let directory = try RecordingDirectory(
            FilePath(into), limits: limits, recordingsMax: recordingsMax)
        try await withProactor { aio in
            try aio.drain(on: [.interrupt, .terminate], within: .seconds(5))
            let server = try await aio.listen(on: listen)
            print("listening on \(server.endpoint)")
            // Whoever started this with a pipe waits for the line.
            fflush(nil)
            try await server.serve { client in
                try await aio.connect(to: target, timeout: .seconds(5)) { upstream in
                    guard let recorder = directory.makeRecorder() else {
                        _ = try await relay(client, upstream)
                        return
                    }
                    _ = try await recordingRelay(client, upstream, into: recorder)
                    if let failure = recorder.failure { print("\(client): \(failure)") }
                }
            }
        }
    }
}
