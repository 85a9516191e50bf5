// Recordings as text: the form in which they are kept, made so that people can read, compare and change it. The way back
// is in RecordingParser.swift; docs/recording.md describes the format.

import AIOBytes
import AIOKernel

// Theory of operation
//
//   aio-recording 1                              the version
//   client "127.0.0.1:50312"                     whose addresses, if known
//   server "127.0.0.1:25"
//   1180 server "220 ready\r\n"                  microseconds, who, what
//   1520 client "EHLO there\r\n"
//   1533 client <0001fffe>                       not text: two digits a byte
//   1601 server "250-hello\r\n"
//   + "250 SIZE 1000\r\n"                        the same event goes on
//   1702 client end                              or reset
//   1755 server end
//   1760 closed                                  or failed "why", or cut "why"
//
// A line of text holds at most `textPerLine` bytes and ends behind a line feed of theirs, so that a text protocol reads as
// what it is and two recordings differ in the lines in which the traffic did; one of digits holds `digitsPerLine`. Each
// line decides for itself which of the two is shorter.

/// The words of the format.
enum RecordingText {
    static let version = "1"
    static let magic = "aio-recording"
    static let textPerLine = 80
    static let digitsPerLine = 40
    /// What a recorder writes of a reason, and the longest last line that makes: its escapes, a time, a word.
    static let reasonByteCountMax = 200
    static let endingByteCountMax = 4 * reasonByteCountMax + 40

    static func appendHeader(client: Endpoint?, server: Endpoint?, to text: inout [UInt8]) {
        text += "\(magic) \(version)\n".utf8
        for (side, endpoint) in [(Recording.Side.client, client), (.server, server)] {
            // A Unix socket without a name has no text that reads back.
            guard let endpoint, endpoint != .unnamed else { continue }
            text += "\(side.rawValue) ".utf8
            appendQuoted(Array(endpoint.description.utf8)[...], to: &text)
            text.append(UInt8(ascii: "\n"))
        }
    }

    static func append(_ event: Recording.Event, to text: inout [UInt8]) {
        text += "\(event.microseconds) \(event.side.rawValue) ".utf8
        switch event.action {
        case .bytes(let bytes): append(bytes, to: &text)
        case .end: text += "end\n".utf8
        case .reset: text += "reset\n".utf8
        }
    }

    static func append(_ ending: Recording.Ending, to text: inout [UInt8]) {
        text += "\(ending.microseconds) ".utf8
        switch ending.kind {
        case .closed: text += "closed\n".utf8
        case .failed(let reason): append("failed", reason, to: &text)
        case .cut(let reason): append("cut", reason, to: &text)
        }
    }

    private static func append(_ word: String, _ reason: String, to text: inout [UInt8]) {
        text += "\(word) ".utf8
        appendQuoted(Array(reason.utf8)[...], to: &text)
        text.append(UInt8(ascii: "\n"))
    }

    private static func append(_ bytes: Bytes, to text: inout [UInt8]) {
        var rest = [UInt8](bytes)[...]
        repeat {
            let isFirst = rest.count == bytes.count
            if !isFirst { text += "+ ".utf8 }
            let window = rest.prefix(textPerLine)
            let line = window.firstIndex(of: UInt8(ascii: "\n")).map { window[...$0] } ?? window
            if quotedByteCount(line) <= 2 * line.count {
                appendQuoted(line, to: &text)
                rest = rest[line.endIndex...]
            } else {
                let digits = rest.prefix(digitsPerLine)
                appendDigits(digits, to: &text)
                rest = rest[digits.endIndex...]
            }
            text.append(UInt8(ascii: "\n"))
        } while !rest.isEmpty
    }

    // MARK: Bytes

    /// How many characters each byte takes in quoted text: looked up, because a worker does this for every byte that passes.
    private static let quotedLengths: [UInt8] = (UInt8.min ... .max).map { byte in
        switch byte {
        case _ where shortEscape(byte) != nil: 2
        case 0x20..<0x7f: 1
        default: 4
        }
    }

    private static let digits = Array("0123456789abcdef".utf8)

    private static func quotedByteCount(_ bytes: ArraySlice<UInt8>) -> Int {
        let lengths = quotedLengths
        var count = 0
        for byte in bytes { count += Int(lengths[Int(byte)]) }
        return count
    }

    private static func shortEscape(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "\n"): UInt8(ascii: "n")
        case UInt8(ascii: "\r"): UInt8(ascii: "r")
        case UInt8(ascii: "\t"): UInt8(ascii: "t")
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): byte
        default: nil
        }
    }

    private static func appendQuoted(_ bytes: ArraySlice<UInt8>, to text: inout [UInt8]) {
        let lengths = quotedLengths
        text.append(UInt8(ascii: "\""))
        for byte in bytes {
            if lengths[Int(byte)] == 1 {
                text.append(byte)
            } else if let letter = shortEscape(byte) {
                text.append(UInt8(ascii: "\\"))
                text.append(letter)
            } else {
                text += "\\x".utf8
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
        }
        text.append(UInt8(ascii: "\""))
    }

    private static func appendDigits(_ bytes: ArraySlice<UInt8>, to text: inout [UInt8]) {
        let digits = digits
        text.append(UInt8(ascii: "<"))
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        text.append(UInt8(ascii: ">"))
    }
}

extension Recording {
    /// The recording as a file holds it. It reads back as the same recording if it is one that can be: times do not go
    /// back, and nobody does anything after its end.
    public var text: String { String(decoding: textBytes, as: UTF8.self) }

    var textBytes: [UInt8] {
        var text: [UInt8] = []
        RecordingText.appendHeader(client: client, server: server, to: &text)
        for event in events { RecordingText.append(event, to: &text) }
        if let ending { RecordingText.append(ending, to: &text) }
        return text
    }
}
