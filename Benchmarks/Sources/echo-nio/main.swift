// TCP echo on SwiftNIO with a ChannelHandler: what channelRead gets is written back, and flushed once a read
// burst, in channelReadComplete. One event loop thread. scripts/bench compares it with the others.

import Glibc
import NIOCore
import NIOPosix

final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }

    /// The peer has finished sending: an empty write that completes says that everything before it is out.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

func portFromArguments() -> Int {
    let arguments = CommandLine.arguments
    guard arguments.count == 3, arguments[1] == "--port", let port = UInt16(arguments[2]) else {
        print("usage: echo-nio --port N    (TCP echo on 127.0.0.1 until SIGINT or SIGTERM)")
        exit(arguments.dropFirst().first == "--help" ? 0 : 2)
    }
    return Int(port)
}

let port = portFromArguments()

// Blocked before the event loop's thread exists: every thread inherits it, and sigwait below is the only
// taker.
var ending = sigset_t()
sigemptyset(&ending)
sigaddset(&ending, SIGINT)
sigaddset(&ending, SIGTERM)
pthread_sigmask(SIG_BLOCK, &ending, nil)

let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let server = try ServerBootstrap(group: group)
    .serverChannelOption(.backlog, value: 4096)
    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    .childChannelOption(.allowRemoteHalfClosure, value: true)
    .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(EchoHandler())
        }
    }
    .bind(host: "127.0.0.1", port: port)
    .wait()

print("listening on 127.0.0.1:\(server.localAddress?.port ?? port)")
fflush(nil)

var taken: Int32 = 0
sigwait(&ending, &taken)
try server.close().wait()
try group.syncShutdownGracefully()
