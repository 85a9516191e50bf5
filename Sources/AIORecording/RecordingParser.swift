// Text to recording. What it reads may have been cut off in the middle, changed by hand, or be something else altogether:
// it says which line is wrong and why, and never traps. The format is described in RecordingText.swift.

import AIOBytes
import AIOKernel

extension Recording {
    /// Reads the text form of a recording.
    ///
    /// A last line that does not end in a line feed is left out: that is what is left when a program that was writing is
    /// killed. Empty lines, and lines that begin with `#`, say nothing.
    public init(parsing text: String) throws(RecordingFormatError) {
        try self.init(parsing: Array(text.utf8))
    }

    init(parsing text: [UInt8]) throws(RecordingFormatError) {
        var parser = RecordingParser()
        self = try parser.parse(text)
    }
}

/// Reads line after line into `recording`.
private struct RecordingParser {
    private var recording = Recording()
    private var lineNumber = 0
    /// Bytes whose event may go on in the next line.
    private var open: (microseconds: UInt64, side: Recording.Side, bytes: [UInt8])?
    /// The lines in which the sides ended, and one reset the connection.
    private var endLines: [Recording.Side: Int] = [:]
    private var resetLine: Int?
    private var lastMicroseconds: UInt64 = 0

    /// Times up to here can be counted in nanoseconds.
    private static let microsecondsMax = UInt64(Int64.max) / 1_000

    mutating func parse(_ text: [UInt8]) throws(RecordingFormatError) -> Recording {
        var rest = text[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            var line = rest[..<end]
            rest = rest[(end + 1)...]
            lineNumber += 1
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            try parse(line: Cursor(rest: line))
        }
        if lineNumber == 0 {
            lineNumber = 1
            throw isNoRecording
        }
        closeEvent()
        return recording
    }

    private func error(_ problem: String) -> RecordingFormatError {
        RecordingFormatError(line: lineNumber, problem: problem)
    }

    private var isNoRecording: RecordingFormatError {
        let first = "\(RecordingText.magic) \(RecordingText.version)"
        return error("this is no recording: its first line is not \"\(first)\"")
    }

    private mutating func parse(line: Cursor) throws(RecordingFormatError) {
        var line = line
        if lineNumber == 1 { return try parseVersion(line) }
        line.skipSpaces()
        guard let first = line.rest.first, first != UInt8(ascii: "#") else { return }
        if let ending = recording.ending {
            throw error("something comes after the end of the recording, \"\(ending.kind.word)\"")
        }
        if first == UInt8(ascii: "+") { return try goOn(line) }
        closeEvent()
        if Cursor.isDigit(first) {
            try parseEvent(line)
        } else {
            try parseHeader(line)
        }
    }

    private func parseVersion(_ line: Cursor) throws(RecordingFormatError) {
        var line = line
        guard line.word() == RecordingText.magic else { throw isNoRecording }
        let version = line.word()
        guard version == RecordingText.version else {
            throw error("this is a recording of version \"\(version)\"; \(RecordingText.version) is known")
        }
        try end(line)
    }

    private mutating func parseHeader(_ line: Cursor) throws(RecordingFormatError) {
        var line = line
        let word = line.word()
        guard let side = Recording.Side(rawValue: word) else {
            throw error(
                "a line begins with a time, \"+\", \"#\", \"client\" or \"server\", and not with \"\(word)\"")
        }
        guard recording.events.isEmpty else {
            throw error("the address of the \(word) comes after the first event")
        }
        let isKnown = (side == .client ? recording.client : recording.server) != nil
        if isKnown { throw error("a second address of the \(word)") }
        let text = try text(&line, what: "an address")
        let endpoint: Endpoint
        do throws(AIOError) {
            endpoint = try Endpoint(parsing: text)
        } catch {
            throw self.error(error.detail ?? "\(error)")
        }
        try end(line)
        if side == .client { recording.client = endpoint } else { recording.server = endpoint }
    }

    // MARK: Events

    private mutating func parseEvent(_ line: Cursor) throws(RecordingFormatError) {
        var line = line
        let digits = line.word()
        guard let microseconds = UInt64(digits), microseconds <= Self.microsecondsMax else {
            throw error(
                "\"\(digits)\" is no time: a whole number of microseconds, at most \(Self.microsecondsMax)")
        }
        guard microseconds >= lastMicroseconds else {
            throw error("the time goes back, from \(lastMicroseconds) to \(microseconds)")
        }
        lastMicroseconds = microseconds
        let word = line.word()
        if let side = Recording.Side(rawValue: word) {
            try parseAction(of: side, at: microseconds, &line)
        } else {
            recording.ending = Recording.Ending(
                microseconds: microseconds, try parseEnding(word, &line))
        }
        try end(line)
    }

    private mutating func parseAction(
        of side: Recording.Side, at microseconds: UInt64, _ line: inout Cursor
    ) throws(RecordingFormatError) {
        if let resetLine { throw error("the connection was reset already, in line \(resetLine)") }
        let action: Recording.Action
        switch line.rest.first {
        case UInt8(ascii: "\""), UInt8(ascii: "<"):
            if let ended = endLines[side] { throw error("the \(side) ended already, in line \(ended)") }
            open = (microseconds, side, try bytes(&line))
            return
        default:
            let word = line.word()
            switch word {
            case "end":
                if let ended = endLines[side] { throw error("the \(side) ended already, in line \(ended)") }
                endLines[side] = lineNumber
                action = .end
            case "reset":
                resetLine = lineNumber
                action = .reset
            default:
                throw error(
                    "a \(side) sends \"text\" or <digits>, or it does \"end\" or \"reset\", but not \"\(word)\""
                )
            }
        }
        recording.events.append(Recording.Event(microseconds: microseconds, side, action))
    }

    private func parseEnding(
        _ word: String, _ line: inout Cursor
    ) throws(RecordingFormatError) -> Recording.Ending.Kind {
        switch word {
        case "closed": return .closed
        case "failed": return .failed(try text(&line, what: "a reason"))
        case "cut": return .cut(try text(&line, what: "a reason"))
        default:
            throw error(
                "behind a time comes \"client\", \"server\", \"closed\", \"failed\" or \"cut\", and not \"\(word)\""
            )
        }
    }

    private mutating func goOn(_ line: Cursor) throws(RecordingFormatError) {
        var line = line
        line.skip()
        line.skipSpaces()
        guard open != nil else { throw error("\"+\" comes behind no bytes that could go on") }
        let more = try bytes(&line)
        open?.bytes += more
        try end(line)
    }

    /// The bytes of an event are all there.
    private mutating func closeEvent() {
        guard let event = open.take() else { return }
        recording.events.append(
            Recording.Event(microseconds: event.microseconds, event.side, .bytes(Bytes(event.bytes))))
    }

    // MARK: Parts of a line

    private func end(_ line: Cursor) throws(RecordingFormatError) {
        guard line.rest.isEmpty else { throw error("the line goes on with \(Bytes(line.rest))") }
    }

    private func text(_ line: inout Cursor, what: String) throws(RecordingFormatError) -> String {
        guard line.rest.first == UInt8(ascii: "\"") else {
            throw error("\(what) in quotation marks is missing")
        }
        guard let text = String(validating: Bytes(try bytes(&line))) else {
            throw error("\(what) is not UTF-8")
        }
        return text
    }

    /// Quoted text or digits in angle brackets, whichever it is.
    private func bytes(_ line: inout Cursor) throws(RecordingFormatError) -> [UInt8] {
        let bytes: [UInt8]
        switch line.rest.first {
        case UInt8(ascii: "\""): bytes = try quoted(&line)
        case UInt8(ascii: "<"): bytes = try digits(&line)
        default: throw error("\"text\" or <digits> are missing")
        }
        line.skipSpaces()
        return bytes
    }

    private func quoted(_ line: inout Cursor) throws(RecordingFormatError) -> [UInt8] {
        var bytes: [UInt8] = []
        line.skip()
        while let byte = line.next() {
            switch byte {
            case UInt8(ascii: "\""): return bytes
            case UInt8(ascii: "\\"): bytes.append(try escaped(&line))
            case 0x20..<0x7f: bytes.append(byte)
            default: throw error("\(Bytes([byte])) is not escaped")
            }
        }
        throw error("the closing quotation mark is missing")
    }

    private func escaped(_ line: inout Cursor) throws(RecordingFormatError) -> UInt8 {
        switch line.next() {
        case UInt8(ascii: "n"): return UInt8(ascii: "\n")
        case UInt8(ascii: "r"): return UInt8(ascii: "\r")
        case UInt8(ascii: "t"): return UInt8(ascii: "\t")
        case let byte? where byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\"): return byte
        case UInt8(ascii: "x"):
            guard let value = Cursor.value(line.next(), line.next()) else {
                throw error("\"\\x\" is followed by two hexadecimal digits")
            }
            return value
        case let byte?: throw error("there is no escape \"\\\" with \(Bytes([byte]))")
        case nil: throw error("the closing quotation mark is missing")
        }
    }

    private func digits(_ line: inout Cursor) throws(RecordingFormatError) -> [UInt8] {
        var bytes: [UInt8] = []
        line.skip()
        while let first = line.next() {
            if first == UInt8(ascii: ">") { return bytes }
            guard let value = Cursor.value(first, line.next()) else {
                throw error("<digits> are pairs of hexadecimal digits")
            }
            bytes.append(value)
        }
        throw error("the closing \">\" is missing")
    }
}

/// A place in a line.
private struct Cursor {
    var rest: ArraySlice<UInt8>

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// Two hexadecimal digits, or nil if that is not what they are.
    static func value(_ high: UInt8?, _ low: UInt8?) -> UInt8? {
        guard let high = high.flatMap(value), let low = low.flatMap(value) else { return nil }
        return high << 4 | low
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    mutating func next() -> UInt8? { rest.popFirst() }
    mutating func skip() { _ = rest.popFirst() }
    mutating func skipSpaces() { rest = rest.drop { $0 == UInt8(ascii: " ") } }

    /// Up to the next space, as text to compare with and to show: no longer than such words are.
    mutating func word() -> String {
        let word = rest.prefix { $0 != UInt8(ascii: " ") }
        rest = rest[word.endIndex...]
        skipSpaces()
        return word.count <= 40 ? String(decoding: word, as: UTF8.self) : "…"
    }
}

extension Recording.Ending.Kind {
    fileprivate var word: String {
        switch self {
        case .closed: "closed"
        case .failed: "failed"
        case .cut: "cut"
        }
    }
}
