// The arguments of MAIL and RCPT: a path between angle brackets, and the parameters behind it.

/// Parses `FROM:<path> parameters` and `TO:<path> parameters` (RFC 5321, sections 4.1.1.2, 4.1.1.3 and
/// 4.1.1.11).
enum PathParser {
    static func mail(_ argument: Substring, isExtended: Bool) throws(Reply) -> Command {
        let (path, parameters) = try split(argument, keyword: "FROM:", command: "MAIL")
        let sender: ReversePath = path.isEmpty ? .null : .mailbox(try mailbox(path, "5.1.7"))
        return .mail(sender, try mailParameters(parameters, isExtended: isExtended))
    }

    static func recipient(_ argument: Substring) throws(Reply) -> Command {
        let (path, parameters) = try split(argument, keyword: "TO:", command: "RCPT")
        let recipient =
            path.lowercased() == "postmaster" ? Mailbox.postmaster : try mailbox(path, "5.1.3")
        if let first = parameters.first { throw unknown(first) }
        return .recipient(recipient)
    }

    private static func mailbox(_ path: Substring, _ status: String) throws(Reply) -> Mailbox {
        guard let mailbox = Mailbox(path: path) else {
            throw Reply(501, status, "that is no mailbox: local-part@domain")
        }
        return mailbox
    }

    /// What is between the brackets, and the words behind them. A bracket in quotes does not end the path.
    private static func split(
        _ argument: Substring, keyword: String, command: String
    ) throws(Reply) -> (path: Substring, parameters: [Substring]) {
        let syntax = Reply(501, "5.5.4", "\(command) \(keyword)<address>, please")
        guard argument.prefix(keyword.count).uppercased() == keyword else { throw syntax }
        let bracketed = argument.dropFirst(keyword.count)
        guard bracketed.first == "<", let end = endOfPath(bracketed) else { throw syntax }
        let path = bracketed[bracketed.index(after: bracketed.startIndex)..<end]
        let rest = bracketed[bracketed.index(after: end)...]
        guard rest.isEmpty || rest.first == " " else { throw syntax }
        return (path, rest.split(separator: " "))
    }

    private static func endOfPath(_ text: Substring) -> Substring.Index? {
        var isQuoted = false
        var isEscaped = false
        for index in text.indices {
            let character = text[index]
            if isEscaped {
                isEscaped = false
            } else if isQuoted, character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isQuoted.toggle()
            } else if character == ">", !isQuoted {
                return index
            }
        }
        return nil
    }

    private static func mailParameters(
        _ words: [Substring], isExtended: Bool
    ) throws(Reply) -> MailParameters {
        var parameters = MailParameters()
        var seen: Set<String> = []
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let keyword = parts[0].uppercased()
            let value = parts.count == 2 ? parts[1] : nil
            // Parameters are part of the extensions, which HELO does not ask for.
            guard isExtended else { throw unknown(word) }
            guard seen.insert(keyword).inserted else {
                throw Reply(501, "5.5.4", "\(keyword) is given twice")
            }
            switch keyword {
            case "SIZE": parameters.size = try size(value)
            case "BODY": parameters.isEightBit = try isEightBit(value)
            case "SMTPUTF8":
                guard value == nil else { throw Reply(501, "5.5.4", "SMTPUTF8 takes no value") }
                parameters.isUTF8 = true
            default: throw unknown(word)
            }
        }
        return parameters
    }

    /// RFC 1870: up to 20 digits; what does not fit into an `Int` is too large for anybody.
    private static func size(_ value: Substring?) throws(Reply) -> Int {
        guard let value, (1...20).contains(value.utf8.count),
            value.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { throw Reply(501, "5.5.4", "SIZE= takes a number of up to 20 digits") }
        return Int(value) ?? .max
    }

    private static func isEightBit(_ value: Substring?) throws(Reply) -> Bool {
        switch value?.uppercased() {
        case "7BIT": false
        case "8BITMIME": true
        default: throw Reply(501, "5.5.4", "BODY= takes 7BIT or 8BITMIME")
        }
    }

    /// RFC 5321, section 4.1.1.11.
    private static func unknown(_ parameter: Substring) -> Reply {
        Reply(555, "5.5.4", "unknown parameter \(parameter.prefix(40))")
    }
}
