// Looks at what will be stored, byte by byte, for what may not be in it. Fed by IncomingMessage.

import AIO

/// Finds lines that are too long, and CR or LF that do not belong together, wherever the text is cut.
///
/// A CR or an LF by itself is refused (RFC 5321, section 2.3.8): it ends no line here, but for the next
/// server that gets the message it may, and then what stands behind it is a command (SMTP smuggling).
struct TextInspector {
    enum Problem: Sendable, Hashable { case longLine, bareNewline }

    /// The first that was found.
    private(set) var problem: Problem?
    private var lineByteCount = 0
    private var isBehindCR = false

    /// RFC 5321, section 4.5.3.1.6: with CR LF.
    static let lineByteCountMax = 1_000

    mutating func inspect(_ bytes: Bytes) {
        guard problem == nil else { return }
        bytes.withRawSpan { span in
            for offset in 0..<span.byteCount {
                look(at: span.byte(at: offset))
                if problem != nil { return }
            }
        }
    }

    private mutating func look(at byte: UInt8) {
        lineByteCount += 1
        let isLF = byte == UInt8(ascii: "\n")
        if isBehindCR != isLF {
            problem = .bareNewline
        } else if lineByteCount > Self.lineByteCountMax {
            problem = .longLine
        } else if isLF {
            lineByteCount = 0
        }
        isBehindCR = byte == UInt8(ascii: "\r")
    }

    /// The text is over.
    mutating func ended() {
        if isBehindCR, problem == nil { problem = .bareNewline }
    }
}
