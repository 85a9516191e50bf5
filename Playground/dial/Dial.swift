// A client: says what it is told to an address and prints what comes back.

import AIO
import ArgumentParser
import Glibc

@main
struct Dial: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Connects, sends a text, ends its side, and prints what comes back.",
        discussion: "Example: dial example.org:80 'HEAD / HTTP/1.0\\r\\n\\r\\n'")

    @Argument(help: "An address or name with a port, or unix:PATH.")
    var endpoint: String

    @Argument(help: "What to send; \\r, \\n and \\t are understood.")
    var text = ""

    @Option(help: "Seconds for connecting, and again for the answer.")
    var timeout = 10.0

    @Flag(help: "Only say whether the port answers.")
    var scan = false

    func run() async throws {
        var configuration = Proactor.Configuration()
        configuration.workerCount = 1
        try await withProactor(configuration) { aio in try await converse(on: aio) }
    }

    private func converse(on aio: Proactor) async throws {
        let words = Bytes(
            text.replacing("\\r", with: "\r").replacing("\\n", with: "\n").replacing("\\t", with: "\t"))
        try await aio.connect(to: endpoint, timeout: .seconds(timeout)) { connection in
            if scan { return print("\(connection.peer) is open") }
            try await connection.write(words)
            connection.finish()
            try await connection.withTimeout(.seconds(timeout)) {
                for try await chunk in connection.chunks {
                    print(String(decoding: chunk, as: UTF8.self), terminator: "")
                }
            }
            fflush(nil)
        }
    }
}
