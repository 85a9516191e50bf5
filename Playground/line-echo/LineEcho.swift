// An echo server for lines. With --only it refuses, on the worker, peers whose lines begin otherwise: what a filter is for.
// Also a contender of `scripts/bench lines`, `refuse` and `drip`.

import AIO
import ArgumentParser
import Glibc

@main
struct LineEcho: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "line-echo",
        abstract:
            "Sends back each line that it receives. Ends on Ctrl-C or SIGTERM, with what it has counted.")

    @Option(help: "The address to listen on: an IP address, a host name, or * for all.")
    var host = "127.0.0.1"

    @Option(help: "The TCP port to listen on; 0 lets the kernel choose one.")
    var port: UInt16 = 7007

    @Option(help: "I/O worker threads. Without it, one a usable processor.")
    var workers: Int?

    @Option(help: "Bytes in a line, at most.")
    var lineBytesMax = 8_192

    @Option(help: "Lines have to begin with this. A peer with another gets the refusal, and is disconnected.")
    var only: String?

    @Option(help: "What such a peer gets: a line.")
    var refusal = "500 not here"

    @Option(
        help: "Seconds that a line may take, from its first byte on; the first one, from the connection on.")
    var lineSeconds = 60.0

    func run() async throws {
        var configuration = Proactor.Configuration()
        configuration.workerCount = workers
        let options = try serverOptions()
        try await withProactor(configuration) { aio in
            try aio.drain(on: [.interrupt, .terminate], within: .seconds(5))
            let address = host.contains(":") ? "[\(host)]" : host
            let server = try await aio.listen(on: "\(address):\(port)", options: options)
            print("listening on \(server.endpoint)")
            // Whoever started this with a pipe waits for the line.
            fflush(nil)
            let report = try await server.serve { connection in
                for try await line in connection.lines { try await connection.write(line) }
            }
            tell(report, aio.statistics.total)
        }
    }

    private func serverOptions() throws -> ServerOptions {
        var options = ServerOptions()
        // With their endings: they go back as they came.
        options.framing = .lines(byteCountMax: lineBytesMax, keepsEndings: true)
        guard lineSeconds > 0, lineSeconds <= 86_400 else {
            throw ValidationError("--line-seconds is above 0, and at most a day")
        }
        var limits = ConnectionLimits()
        limits.frameTimeout = .seconds(lineSeconds)
        options.connection = limits
        options.surfacing = .onFirstFrame
        if let only {
            options.filter = try FrameFilter(
                judging: .everyFrame, otherwise: .replyAndClose(Bytes("\(refusal)\n")),
                rules: [.pass(.prefix(Bytes(only)), named: "passed")])
        }
        return options
    }

    private func tell(_ report: DrainReport, _ total: WorkerStatistics) {
        print("connections: \(report.accepted), of which \(report.unsurfaced) had nothing to say")
        print("lines: \(total.framesSurfaced), bytes: \(total.bytesReceived)")
        if let counts = report.filterCounts { print("lines refused: \(counts.otherwise)") }
    }
}
