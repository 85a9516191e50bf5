// An echo server over UDP: sends each datagram back to where it came from. The smallest program with
// `aio.bind(udp:)`.

import AIO
import ArgumentParser
import Glibc

@main
struct UDPEcho: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "udp-echo",
        abstract: "Sends each datagram back to its sender. Ends on Ctrl-C or SIGTERM.")

    @Option(help: "The address to bind: an IP address, a host name, or * for all.")
    var host = "127.0.0.1"

    @Option(help: "The UDP port to bind; 0 lets the kernel choose one.")
    var port: UInt16 = 7007

    func run() async throws {
        try await withProactor { aio in
            try aio.events.watch(signals: [.interrupt, .terminate])
            let socket = try await aio.bind(udp: "\(host.contains(":") ? "[\(host)]" : host):\(port)")
            print("listening on \(socket.endpoint)")
            // Whoever started this with a pipe waits for the line.
            fflush(nil)
            let echo = Task {
                for try await datagram in socket.datagrams {
                    try await socket.send(datagram.bytes, to: datagram.sender)
                }
            }
            for await event in aio.events {
                if case .signal = event { break }
            }
            let statistics = socket.statistics
            await socket.close()
            _ = await echo.result
            print("received \(statistics.received), sent \(statistics.sent), dropped \(statistics.dropped)")
        }
    }
}
