// An SMTP server that takes mail for anybody, and stores it or counts it. For tests of programs that send
// mail; also what `scripts/check-smtp` drives.

import AIO
import ArgumentParser
import Glibc
import SMTPSinkCore
import SystemPackage

@main
struct SMTPSink: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "smtp-sink",
        abstract:
            "Receives mail and stores or counts it. SIGUSR1 prints the counts; Ctrl-C or SIGTERM ends it.")

    @Option(
        help: "Where to listen, as in 127.0.0.1:2525, [::1]:2525, *:2525; port 0 lets the kernel choose one.")
    var listen = "127.0.0.1:2525"

    @Option(help: "What the server calls itself.")
    var hostname = "localhost"

    @Option(help: "A directory, which must be there, for a file a message. Without it, messages are counted.")
    var store: String?

    @Option(help: "The most bytes of a message.")
    var sizeMax = SessionRules().messageByteCountMax

    @Option(help: "The most recipients of a message.")
    var recipientsMax = SessionRules().recipientsMax

    @Option(help: "The most connections at a time. Without it, what the system allows.")
    var connectionsMax: Int?

    @Option(help: "Seconds that a message may take to come.")
    var dataTimeout = 600

    @Option(help: "I/O worker threads. Without it, one a usable processor.")
    var workers: Int?

    func validate() throws {
        guard sizeMax >= 1 else { throw ValidationError("--size-max is \(sizeMax), but must be at least 1") }
        guard recipientsMax >= 1 else {
            throw ValidationError("--recipients-max is \(recipientsMax), but must be at least 1")
        }
        guard dataTimeout >= 1 else {
            throw ValidationError("--data-timeout is \(dataTimeout), but must be at least 1")
        }
        guard (1...255).contains(hostname.utf8.count), hostname.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { throw ValidationError("--hostname must have 1 to 255 visible ASCII characters") }
    }

    func run() async throws {
        var configuration = Proactor.Configuration()
        configuration.workerCount = workers
        let options = try makeOptions()
        try await withProactor(configuration) { aio in
            // Before anybody can know that there is a program to send signals to.
            try aio.events.watch(signals: [.interrupt, .terminate, .user1])
            let server = try await aio.listen(on: listen, options: options.serverOptions())
            print("listening on \(server.endpoint)")
            // Whoever started this with a pipe waits for the line.
            fflush(nil)
            let signals = Task { await Self.follow(signalsOf: aio, counts: options.counts) }
            defer { signals.cancel() }
            try await server.serve { SinkHandler($0, options: options) }
        }
        print(options.counts)
    }

    private func makeOptions() throws -> SinkOptions {
        var options = SinkOptions()
        options.rules.hostname = hostname
        options.rules.messageByteCountMax = sizeMax
        options.rules.recipientsMax = recipientsMax
        options.connectionsMax = connectionsMax
        options.dataTimeout = .seconds(dataTimeout)
        if let store { options.store = try FileStore(directory: FilePath(store)) }
        return options
    }

    /// The first signal drains, the second cuts.
    private static func follow(signalsOf aio: Proactor, counts: SinkCounts) async {
        var isDraining = false
        for await event in aio.events {
            guard case .signal(let signal) = event else { continue }
            if signal == .user1 {
                print(counts)
                fflush(nil)
            } else {
                aio.drain(within: isDraining ? .zero : .seconds(10))
                isDraining = true
            }
        }
    }
}
