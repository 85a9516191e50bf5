// A command line, understood: what the parser makes of a line, and what the session is told. The filter has
// answered the commands that need no session (NOOP, HELP, VRFY, EXPN) before, so they are not here.

/// One SMTP command that the session decides about (RFC 5321, section 4.1).
public enum Command: Sendable, Hashable {
    case hello(domain: String, isExtended: Bool)
    case mail(ReversePath, MailParameters)
    case recipient(Mailbox)
    case data
    /// RFC 3030: so many bytes follow, and whether they are the last of the message.
    case chunk(byteCount: Int, isLast: Bool)
    case reset
    case quit
}

/// Where to send what cannot be delivered; `.null` is `<>`, for messages that must not be answered.
public enum ReversePath: Sendable, Hashable {
    case null
    case mailbox(Mailbox)

    /// As it is written between angle brackets.
    public var text: String {
        switch self {
        case .null: ""
        case .mailbox(let mailbox): mailbox.text
        }
    }
}

/// What may follow the path of MAIL, as far as it was announced.
public struct MailParameters: Sendable, Hashable {
    /// RFC 1870: how large the message will be, as the client thinks.
    public var size: Int?
    /// RFC 6152: BODY=8BITMIME.
    public var isEightBit = false
    /// RFC 6531: SMTPUTF8.
    public var isUTF8 = false

    public init() {}
}
