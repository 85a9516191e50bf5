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
            try parse(RecordingLine(number: lineNumber, rest: line))
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

    private mutating func parse(_ line: RecordingLine) throws(RecordingFormatError) {
        var line = line
        if lineNumber == 1 { return try parseVersion(line) }
        line.skipSpaces()
        guard let first = line.rest.first, first != UInt8(ascii: "#") else { return }
        if let ending = recording.ending {
            throw error("something comes after the end of the recording, \"\(ending.kind.word)\"")
        }
        if first == UInt8(ascii: "+") { return try goOn(line) }
        closeEvent()
        if RecordingLine.isDigit(first) {
            try parseEvent(line)
        } else {
            try parseHeader(line)
        }
    }

    private func parseVersion(_ line: RecordingLine) throws(RecordingFormatError) {
        var line = line
        guard line.word() == RecordingText.magic else { throw isNoRecording }
        let version = line.word()
        guard version == RecordingText.version else {
            throw error("this is a recording of version \"\(version)\"; \(RecordingText.version) is known")
        }
        try line.end()
    }

    private mutating func parseHeader(_ line: RecordingLine) throws(RecordingFormatError) {
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
        let text = try line.text(what: "an address")
        let endpoint: Endpoint
        do throws(AIOError) {
            endpoint = try Endpoint(parsing: text)
        } catch {
            throw self.error(error.detail ?? "\(error)")
        }
        try line.end()
        if side == .client { recording.client = endpoint } else { recording.server = endpoint }
    }

    // MARK: Events

    private mutating func parseEvent(_ line: RecordingLine) throws(RecordingFormatError) {
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
        try line.end()
    }

    private mutating func parseAction(
        of side: Recording.Side, at microseconds: UInt64, _ line: inout RecordingLine
    ) throws(RecordingFormatError) {
        if let resetLine { throw error("the connection was reset already, in line \(resetLine)") }
        let action: Recording.Action
        switch line.rest.first {
        case UInt8(ascii: "\""), UInt8(ascii: "<"):
            if let ended = endLines[side] { throw error("the \(side) ended already, in line \(ended)") }
            open = (microseconds, side, try line.bytes())
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
        _ word: String, _ line: inout RecordingLine
    ) throws(RecordingFormatError) -> Recording.Ending.Kind {
        switch word {
        case "closed": return .closed
        case "failed": return .failed(try line.text(what: "a reason"))
        case "cut": return .cut(try line.text(what: "a reason"))
        default:
            throw error(
                "behind a time comes \"client\", \"server\", \"closed\", \"failed\" or \"cut\", and not \"\(word)\""
            )
        }
    }

    private mutating func goOn(_ line: RecordingLine) throws(RecordingFormatError) {
        var line = line
        line.skip()
        line.skipSpaces()
        guard open != nil else { throw error("\"+\" comes behind no bytes that could go on") }
        let more = try line.bytes()
        open?.bytes += more
        try line.end()
    }

    /// The bytes of an event are all there.
    private mutating func closeEvent() {
        guard let event = open.take() else { return }
        recording.events.append(
            Recording.Event(microseconds: event.microseconds, event.side, .bytes(Bytes(event.bytes))))
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
