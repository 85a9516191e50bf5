// An echo server in straight-line code, and the same as an actor; on any of the executors. Also the contenders
// closure, actor, partner and global of `scripts/bench`.

import AIO
import ArgumentParser
import Glibc

@main
struct Echo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends back what it receives. Ends on Ctrl-C or SIGTERM, once its connections have ended.")

    @Option(help: "The address to listen on: an IP address, a host name, or * for all.")
    var host = "127.0.0.1"

    @Option(help: "The TCP port to listen on; 0 lets the kernel choose one.")
    var port: UInt16 = 7007

    @Option(help: "I/O worker threads. Without it, one a usable processor.")
    var workers: Int?

    @Option(help: "Where handlers run: on the I/O worker, its partner thread, or Swift's global executor.")
    var executor = Executor.worker

    @Option(help: "What handles a connection: a closure, or an actor.")
    var handler = Handler.closure

    enum Executor: String, ExpressibleByArgument, CaseIterable { case worker, partner, global }
    enum Handler: String, ExpressibleByArgument, CaseIterable { case closure, actor }

    func run() async throws {
        var configuration = Proactor.Configuration()
        configuration.workerCount = workers
        var options = ServerOptions()
        options.executor =
            switch executor {
            case .worker: .worker
            case .partner: .partner
            case .global: .global
            }
        try await withProactor(configuration) { [options] aio in
            try aio.drain(on: [.interrupt, .terminate], within: .seconds(5))
            let address = host.contains(":") ? "[\(host)]" : host
            let server = try await aio.listen(on: "\(address):\(port)", options: options)
            print("listening on \(server.endpoint)")
            // Whoever started this with a pipe waits for the line.
            fflush(nil)
            switch handler {
            case .closure:
                try await server.serve { connection in
                    for try await chunk in connection.chunks { try await connection.write(chunk) }
                }
            case .actor:
                try await server.serve(handler: EchoActor.init)
            }
        }
    }
}

actor EchoActor: ConnectionHandler {
    let connection: Connection
    init(_ connection: Connection) { self.connection = connection }

    func dataReceived(_ bytes: Bytes) async throws { try await connection.write(bytes) }
}
