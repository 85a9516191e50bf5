// What is wrong with a text that is to be a recording, and where.

/// A text is not a recording. Thrown by `Recording.init(parsing:)` and `Recording.init(contentsOf:)`.
public struct RecordingFormatError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Which line, counted from 1.
    public let line: Int
    /// What is wrong with it, in words.
    public let problem: String

    public var description: String { "line \(line): \(problem)" }
}
