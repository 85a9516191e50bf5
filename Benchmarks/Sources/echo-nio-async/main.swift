// TCP echo on SwiftNIO with NIOAsyncChannel: one task a connection in a discarding task group, each a loop of
// `for try await` and `write`, the pattern that NIO documents. One event loop thread; the tasks run on
// Swift's global pool, as they do by default. scripts/bench compares it with the others.

import Dispatch
import Glibc
import NIOCore
import NIOPosix

typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

func bind(port: Int, group: MultiThreadedEventLoopGroup) async throws -> NIOAsyncChannel<Connection, Never> {
    try await ServerBootstrap(group: group)
        .serverChannelOption(.backlog, value: 4096)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelOption(.allowRemoteHalfClosure, value: true)
        .bind(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try Connection(
                    wrappingChannelSynchronously: channel,
                    configuration: .init(isOutboundHalfClosureEnabled: true))
            }
        }
}

func serve(_ server: NIOAsyncChannel<Connection, Never>) async throws {
    try await withThrowingDiscardingTaskGroup { tasks in
        try await server.executeThenClose { connections in
            for try await connection in connections {
                tasks.addTask { await echo(connection) }
            }
        }
    }
}

/// A connection that fails ends alone: its error stays here.
func echo(_ connection: Connection) async {
    do {
        try await connection.executeThenClose { inbound, outbound in
            for try await bytes in inbound {
                try await outbound.write(bytes)
            }
            outbound.finish()
        }
    } catch {
        // The peer reset, or the server is ending: nobody is left to tell.
    }
}

func portFromArguments() -> Int {
    let arguments = CommandLine.arguments
    guard arguments.count == 3, arguments[1] == "--port", let port = UInt16(arguments[2]) else {
        print("usage: echo-nio-async --port N    (TCP echo on 127.0.0.1 until SIGINT or SIGTERM)")
        exit(arguments.dropFirst().first == "--help" ? 0 : 2)
    }
    return Int(port)
}

let port = portFromArguments()

// Main stays synchronous: an async main that suspends waits with every signal let through, and sigwait would
// never see one. Blocked before any thread exists, so every thread inherits it.
var ending = sigset_t()
sigemptyset(&ending)
sigaddset(&ending, SIGINT)
sigaddset(&ending, SIGTERM)
pthread_sigmask(SIG_BLOCK, &ending, nil)

let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let ended = DispatchSemaphore(value: 0)
let serving = Task.detached {
    do {
        let server = try await bind(port: port, group: group)
        print("listening on 127.0.0.1:\(server.channel.localAddress?.port ?? port)")
        fflush(nil)
        try await serve(server)
    } catch is CancellationError {
    } catch {
        print("echo-nio-async: \(error)")
        exit(1)
    }
    ended.signal()
}

var taken: Int32 = 0
sigwait(&ending, &taken)
serving.cancel()
ended.wait()
try group.syncShutdownGracefully()
