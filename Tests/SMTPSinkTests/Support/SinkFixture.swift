// A sink on a simulated machine, and what its peers say and expect most.

import AIO
import AIOTesting
import SMTPSinkCore
import Testing

/// Serves a sink and runs `body` with a peer that has been greeted and has said EHLO.
func withSink(
    _ options: SinkOptions, arrival: Arrival = .asSent, sayingHello: Bool = true,
    _ body: (MockPeer) async throws -> Void
) async throws {
    try await withMockPeer(
        { SinkHandler($0, options: options) }, options: try options.serverOptions(), arrival: arrival
    ) { peer in
        try await peer.expect(Replies.greeting)
        if sayingHello {
            try await peer.send("EHLO client.test\r\n")
            try await peer.expect(Replies.hello)
        }
        try await body(peer)
    }
}

extension SinkOptions {
    /// A small sink called mail.test, at a fixed time.
    static func testing(_ store: any MessageStore, _ change: (inout SinkOptions) -> Void = { _ in })
        -> SinkOptions
    {
        var options = SinkOptions()
        options.rules.hostname = "mail.test"
        options.rules.messageByteCountMax = 1_000
        options.rules.recipientsMax = 3
        options.store = store
        options.now = { 1_234_567_890 }
        change(&options)
        return options
    }
}

/// What the sink says.
enum Replies {
    static let greeting: Bytes = "220 mail.test ESMTP smtp-sink\r\n"
    static let hello: Bytes = """
        250-mail.test greets client.test\r
        250-PIPELINING\r
        250-SIZE 1000\r
        250-8BITMIME\r
        250-SMTPUTF8\r
        250-ENHANCEDSTATUSCODES\r
        250-CHUNKING\r
        250 HELP\r\n
        """
    static let mail: Bytes = "250 2.1.0 the sender is fine\r\n"
    static let recipient: Bytes = "250 2.1.5 the recipient is fine\r\n"
    static let data: Bytes = "354 go ahead; CRLF.CRLF ends it\r\n"
    static let taken: Bytes = "250 2.0.0 taken as id\r\n"
    static let reset: Bytes = "250 2.0.0 forgotten\r\n"
    static let noop: Bytes = "250 2.0.0 done\r\n"
    static let unknown: Bytes = "500 5.5.1 unknown command\r\n"
    static let goodbye: Bytes = "221 2.0.0 mail.test says goodbye\r\n"
    static let tooLarge: Bytes = "552 5.3.4 a message may have 1000 bytes here\r\n"
    static let tooLong: Bytes = "500 5.5.2 the line is too long\r\n"
    static let bareNewline: Bytes = "550 5.5.2 lines end with CR LF, and neither stands by itself\r\n"
    static let longTextLine: Bytes = "500 5.5.2 a line may have 1000 bytes, with its ending\r\n"

    /// To MAIL, RCPT and DATA, pipelined.
    static let envelope: Bytes = "\(mail)\(recipient)\(data)"
}

/// MAIL, RCPT and DATA in one packet.
let envelope: Bytes = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
