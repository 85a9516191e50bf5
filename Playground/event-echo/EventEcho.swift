// An echo server as an event loop: the smallest program that shows what the toolkit does. Also a contender of
// `scripts/bench echo`.

import AIO
import ArgumentParser
import Glibc

@main
struct EventEcho: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "event-echo",
        abstract: "Sends back what it receives, as a loop over aio.events. Ends on Ctrl-C or SIGTERM.")

    @Option(help: "The address to listen on: an IP address, a host name, or * for all.")
    var host = "127.0.0.1"

    @Option(help: "The TCP port to listen on; 0 lets the kernel choose one.")
    var port: UInt16 = 7007

    @Option(help: "I/O worker threads. Without it, one a usable processor.")
    var workers: Int?

    func run() async throws {
        var configuration = Proactor.Configuration()
        configuration.workerCount = workers
        try await withProactor(configuration) { aio in
            try aio.events.watch(signals: [.interrupt, .terminate])
            let listener = try await aio.events.listen(
                on: "\(host.contains(":") ? "[\(host)]" : host):\(port)")
            print("listening on \(listener.endpoint)")
            // Whoever started this with a pipe waits for the line.
            fflush(nil)
            for await event in aio.events {
                switch event {
                case .received(let bytes, let connection): connection.send(bytes)
                case .signal: return
                default: break
                }
            }
        }
    }
}
