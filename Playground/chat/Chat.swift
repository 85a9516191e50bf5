// A chat server: many connections, one actor that they share. What one member writes goes to all the others; one
// that does not read holds nobody up.

import AIO
import ArgumentParser
import Glibc

@main
struct Chat: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A chat room. Join with: nc 127.0.0.1 7009. Ends on Ctrl-C or SIGTERM.")

    @Option(help: "The address to listen on: an IP address, a host name, or * for all.")
    var host = "127.0.0.1"

    @Option(help: "The TCP port to listen on; 0 lets the kernel choose one.")
    var port: UInt16 = 7009

    @Option(help: "I/O worker threads. Without it, one a usable processor.")
    var workers: Int?

    func run() async throws {
        var configuration = Proactor.Configuration()
        configuration.workerCount = workers
        var options = ServerOptions()
        // A member who reads too slowly is let go of when a quarter of a mebibyte waits for it.
        var limits = ConnectionLimits()
        limits.outboundByteCountMax = 256 << 10
        options.connection = limits
        try await withProactor(configuration) { [options] aio in
            try aio.drain(on: [.interrupt, .terminate], within: .seconds(1))
            let room = Room(home: aio.nextHome())
            let address = host.contains(":") ? "[\(host)]" : host
            let server = try await aio.listen(on: "\(address):\(port)", options: options)
            print("listening on \(server.endpoint)")
            // Whoever started this with a pipe waits for the line.
            fflush(nil)
            try await server.serve { connection in
                await room.join(connection)
                do {
                    for try await chunk in connection.chunks { await room.say(chunk, from: connection) }
                } catch {
                    await room.leave(connection)
                    throw error
                }
                await room.leave(connection)
            }
        }
    }
}

/// Who is there. Lives on one worker's thread, with a turn like any other work there.
actor Room: WorkerActor {
    let home: Home
    private var members: Set<Connection> = []

    init(home: Home) { self.home = home }

    func join(_ member: Connection) {
        members.insert(member)
        member.send("welcome, there are \(members.count) of you\r\n")
    }

    func leave(_ member: Connection) { members.remove(member) }

    /// `send` never waits: what a member does not read piles up for that member alone, up to its limit, and then
    /// it is closed with `.slowConsumer`.
    func say(_ words: Bytes, from speaker: Connection) {
        for member in members where member != speaker { member.send(words) }
    }
}
