// What MAIL and RCPT have said about the message to come.

/// Who sends, to whom, and how the message travels.
public struct Envelope: Sendable, Hashable {
    public let sender: ReversePath
    public internal(set) var recipients: [Mailbox] = []
    public let parameters: MailParameters

    init(sender: ReversePath, parameters: MailParameters) {
        self.sender = sender
        self.parameters = parameters
    }
}
