// An echo exchange over SwiftNIO's NIOAsyncTestingChannel, which is what its users test channel handlers with: no kernel, no
// network, no other order of things than the one. Prints what scripts/bench simulation reads.

import Glibc
import NIOCore
import NIOEmbedded

final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(data, promise: nil)
    }
}

/// Of the process; microseconds.
func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

let count = 20_000
let message = ByteBuffer(repeating: 120, count: 64)
let channel = await NIOAsyncTestingChannel(handlers: [Echo()])
let start = processorTime()
for _ in 0..<count {
    try await channel.writeInbound(message)
    let answer = try await channel.waitForOutboundWrite(as: ByteBuffer.self)
    guard answer == message else { fatalError("what came back is not what was sent") }
}
let total = processorTime() - start
_ = try await channel.finish()
print("{\"exchange_us\": \(total / Double(count))}")
