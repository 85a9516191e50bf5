// The lines that a server puts before a message that it takes (RFC 5321, section 4.4).

import AIO

/// Return-Path:, because delivery ends here; the recipients, since nothing else tells a reader of the file;
/// and Received:.
enum TraceHeader {
    static func make(
        for envelope: Envelope, client: (domain: String, isExtended: Bool), peer: Endpoint, hostname: String,
        id: String, secondsSince1970: Int
    ) -> Bytes {
        let with = envelope.parameters.isUTF8 ? "UTF8SMTP" : client.isExtended ? "ESMTP" : "SMTP"
        var text = "Return-Path: <\(envelope.sender.text)>\r\n"
        for recipient in envelope.recipients { text += "X-Envelope-To: <\(recipient.text)>\r\n" }
        text += "Received: from \(client.domain) (\(literal(of: peer)))\r\n"
        text += "\tby \(hostname) with \(with) id \(id)"
        // With several, each would learn of the others.
        if envelope.recipients.count == 1 { text += "\r\n\tfor <\(envelope.recipients[0].text)>" }
        text += ";\r\n\t\(MailDate.text(secondsSince1970: secondsSince1970))\r\n"
        return Bytes(text)
    }

    private static func literal(of peer: Endpoint) -> String {
        guard let address = peer.address else { return "local" }
        return address.family == .v6 ? "[IPv6:\(address)]" : "[\(address)]"
    }
}
