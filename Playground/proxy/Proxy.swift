// A TCP forwarder: each connection is relayed to another address, both ways, with back-pressure and half-close. Also
// a contender of `scripts/bench proxy`.

import AIO
import ArgumentParser
import Glibc

@main
struct Proxy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Forwards TCP connections. Ends on Ctrl-C or SIGTERM, once its connections have ended.")

    @Option(help: "Where to listen, as in 127.0.0.1:7010 or unix:/run/x.sock.")
    var listen = "127.0.0.1:7010"

    @Option(help: "Where to forward to, as in example.org:80.")
    var to: String

    @Option(help: "I/O worker threads. Without it, one a usable processor.")
    var workers: Int?

    func run() async throws {
        var configuration = Proactor.Configuration()
        configuration.workerCount = workers
        let target = try Endpoint(parsing: to)
        try await withProactor(configuration) { aio in
            try aio.drain(on: [.interrupt, .terminate], within: .seconds(5))
            let server = try await aio.listen(on: listen)
            print("listening on \(server.endpoint)")
            // Whoever started this with a pipe waits for the line.
            fflush(nil)
            try await server.serve { client in
                // On the client's worker: nothing between the two changes threads.
                try await aio.connect(to: target, timeout: .seconds(5)) { upstream in
                    _ = try await relay(client, upstream)
                }
            }
        }
    }
}
