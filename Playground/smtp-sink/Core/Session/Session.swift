// The order of things in a session: commands come in from the handler, what to do comes out. No I/O here, no
// clock.

public import AIO

// Theory of operation
//
//            hello            mail            recipient           data
//   .fresh ────────▶ .ready ───────▶ .sender ──────────▶ .addressed ─────▶ .text ──┐
//                      ▲ ▲                                   │ chunk               │ messageEnded
//                      │ │                                   ▼                     │
//                      │ └────────────────────────────── .chunks ◀─┐ chunk         │
//                      │                 messageEnded        └─────┘               │
//                      └───────────────────────────────────────────────────────────┘
//
// HELO, EHLO and RSET lead to .ready from everywhere but .fresh (HELO and EHLO from there, too); QUIT ends
// every state. All other arrows that are not there are a 503. A chunk's bytes follow its command, allowed or
// not, so a refused one is still read: the answer to it waits until its bytes have gone by.

/// The state machine of one SMTP session.
public struct Session: ~Copyable {
    private enum State {
        /// Nobody has said hello.
        case fresh
        case ready
        case sender(Envelope)
        /// At least one recipient.
        case addressed(Envelope)
        /// DATA has been answered, and its text is not over.
        case text(Envelope)
        /// At least one chunk has been taken, and not the last.
        case chunks(Envelope)
    }

    /// What the handler is to do.
    public enum Action: Sendable, Hashable {
        case reply(Reply)
        /// Reply, drop what has been received of a message, if anything, and go on.
        case replyAndDrop(Reply)
        /// Reply, then receive text up to its end, then call `messageEnded`.
        case receiveText(Envelope, Reply)
        /// Receive so many bytes; then call `messageEnded` if they are the last, or `chunkEnded`.
        case receiveChunk(Envelope, byteCount: Int, isLast: Bool)
        /// Receive so many bytes, throw them away, then reply.
        case skipChunk(byteCount: Int, Reply)
    }

    private let rules: SessionRules
    private var state = State.fresh
    /// Who the client says it is, and whether it said so with EHLO.
    public private(set) var client: (domain: String, isExtended: Bool) = ("", false)

    public init(rules: SessionRules) { self.rules = rules }

    public var greeting: Reply { Reply(220, nil, "\(rules.hostname) ESMTP smtp-sink") }

    /// A command line came, without its ending.
    public mutating func lineArrived(_ line: Bytes) -> Action {
        do throws(Reply) {
            return try commandArrived(CommandParser.parse(line, isExtended: client.isExtended))
        } catch {
            return .reply(error)
        }
    }

    private mutating func commandArrived(_ command: Command) throws(Reply) -> Action {
        switch command {
        case .hello(let domain, let isExtended): return helloArrived(domain, isExtended: isExtended)
        case .mail(let sender, let parameters): return .reply(try mailArrived(sender, parameters))
        case .recipient(let mailbox): return .reply(try recipientArrived(mailbox))
        case .data: return try dataArrived()
        case .chunk(let byteCount, let isLast): return chunkArrived(byteCount, isLast: isLast)
        case .reset:
            drop()
            return .replyAndDrop(Reply(250, "2.0.0", "forgotten"))
        case .quit: return .replyAndDrop(Reply(221, "2.0.0", "\(rules.hostname) says goodbye", closes: true))
        }
    }

    private mutating func helloArrived(_ domain: String, isExtended: Bool) -> Action {
        client = (domain, isExtended)
        state = .ready
        let greeting = "\(rules.hostname) greets \(domain)"
        return .replyAndDrop(
            Reply(250, nil, lines: isExtended ? [greeting] + rules.extensions : [greeting]))
    }

    private mutating func mailArrived(
        _ sender: ReversePath, _ parameters: MailParameters
    ) throws(Reply) -> Reply {
        switch state {
        case .fresh: throw Reply(503, "5.5.1", "say HELO or EHLO first")
        case .sender, .addressed, .text, .chunks:
            throw Reply(503, "5.5.1", "one message at a time; RSET forgets this one")
        case .ready: break
        }
        if let size = parameters.size, size > rules.messageByteCountMax { throw rules.tooLarge }
        if case .mailbox(let mailbox) = sender, mailbox.isInternational, !parameters.isUTF8 {
            throw Reply(553, "5.6.7", "such an address needs SMTPUTF8")
        }
        state = .sender(Envelope(sender: sender, parameters: parameters))
        return Reply(250, "2.1.0", "the sender is fine")
    }

    private mutating func recipientArrived(_ mailbox: Mailbox) throws(Reply) -> Reply {
        var envelope: Envelope
        switch state {
        case .fresh, .ready: throw Reply(503, "5.5.1", "MAIL comes before RCPT")
        case .text, .chunks: throw Reply(503, "5.5.1", "the message has begun already")
        case .sender(let so), .addressed(let so): envelope = so
        }
        if mailbox.isInternational, !envelope.parameters.isUTF8 {
            throw Reply(553, "5.6.7", "such an address needs SMTPUTF8")
        }
        guard envelope.recipients.count < rules.recipientsMax else {
            throw Reply(452, "4.5.3", "too many recipients; send this to the others once more")
        }
        envelope.recipients.append(mailbox)
        state = .addressed(envelope)
        return Reply(250, "2.1.5", "the recipient is fine")
    }

    private mutating func dataArrived() throws(Reply) -> Action {
        switch state {
        case .fresh, .ready: throw Reply(503, "5.5.1", "MAIL and RCPT come before DATA")
        case .sender: throw Reply(503, "5.5.1", "RCPT comes before DATA")
        case .text, .chunks: throw Reply(503, "5.5.1", "a message that has begun with BDAT goes on with it")
        case .addressed(let envelope):
            state = .text(envelope)
            return .receiveText(envelope, Reply(354, nil, "go ahead; CRLF.CRLF ends it"))
        }
    }

    private mutating func chunkArrived(_ byteCount: Int, isLast: Bool) -> Action {
        switch state {
        case .fresh, .ready, .sender, .text:
            let refusal = Reply(503, "5.5.1", "MAIL and RCPT come before BDAT")
            return .skipChunk(byteCount: byteCount, refusal)
        case .addressed(let envelope), .chunks(let envelope):
            state = .chunks(envelope)
            return .receiveChunk(envelope, byteCount: byteCount, isLast: isLast)
        }
    }

    /// A chunk has been received that is not the last.
    public func chunkEnded(byteCount: Int) -> Reply { Reply(250, "2.0.0", "\(byteCount) bytes taken") }

    /// The message has been received, and stored or not; or it cannot be taken any more.
    public mutating func messageEnded() { drop() }

    private mutating func drop() {
        switch state {
        case .fresh: break
        case .ready, .sender, .addressed, .text, .chunks: state = .ready
        }
    }
}
