// Why a stream cannot be cut into frames any more: a code to switch over, and words that say who broke which
// rule. Made by framers, kept by `FrameBuffer`, thrown by the read that reaches it.

/// Why a stream of bytes could not be cut into frames.
public struct FramingError: Error, Sendable {
    /// One reference, because errors travel in the step that a framer returns for every frame, and are hardly
    /// ever there.
    private let storage: Storage

    private final class Storage: Sendable {
        let code: Code
        let byteCountMax: Int?
        let detail: String

        init(_ code: Code, byteCountMax: Int? = nil, _ detail: String) {
            self.code = code
            self.byteCountMax = byteCountMax
            self.detail = detail
        }
    }

    /// What kind of failure this is. New codes may be added: keep a `default` when switching over it.
    public var code: Code { storage.code }
    /// The maximum that a frame exceeded, in bytes; nil if it was not about that.
    public var byteCountMax: Int? { storage.byteCountMax }
    /// Who broke which rule, in words for a person.
    public var detail: String { storage.detail }

    /// An error of a framer of your own, with the code `.custom`. `detail` says what the peer did that it
    /// should not have.
    public init(_ detail: String) {
        storage = Storage(.custom, detail)
    }

    init(_ code: Code, byteCountMax: Int? = nil, _ detail: String) {
        storage = Storage(code, byteCountMax: byteCountMax, detail)
    }

    /// The kinds of failure. A struct and not an enum, so that codes can be added without breaking programs.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        private init(_ description: String) { self.description = description }

        /// A frame is longer than its maximum.
        public static let tooLong = Code("tooLong")
        /// A length that is no length: not a number, or less than what it has to count.
        public static let malformedLength = Code("malformedLength")
        /// What has to stand behind a frame does not.
        public static let malformedTrailer = Code("malformedTrailer")
        /// The stream ended inside of a frame.
        public static let unfinished = Code("unfinished")
        /// What a framer of the program's own says.
        public static let custom = Code("custom")
        /// A framer of the program's own gave an answer that makes no sense.
        public static let framerMisbehaved = Code("framerMisbehaved")
    }
}

extension FramingError {
    /// For framers: a frame is longer than `byteCountMax` bytes.
    public static func tooLong(byteCountMax: Int) -> FramingError {
        FramingError(
            .tooLong, byteCountMax: byteCountMax, "the peer sent a frame of more than \(byteCountMax) bytes")
    }

    /// For framers: a length is no length. `detail` says what the peer sent.
    public static func malformedLength(_ detail: String) -> FramingError {
        FramingError(.malformedLength, detail)
    }

    /// For framers: what has to stand behind a frame does not. `detail` says what the peer sent.
    public static func malformedTrailer(_ detail: String) -> FramingError {
        FramingError(.malformedTrailer, detail)
    }

    /// For framers: the stream ended inside of a frame.
    public static var unfinished: FramingError {
        FramingError(.unfinished, "the peer ended the stream inside of a frame")
    }

    static func framerMisbehaved(_ detail: String) -> FramingError {
        FramingError(.framerMisbehaved, "the program's framer \(detail)")
    }
}

extension FramingError: Hashable {
    public static func == (a: FramingError, b: FramingError) -> Bool {
        a.code == b.code && a.byteCountMax == b.byteCountMax && a.detail == b.detail
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(code)
        hasher.combine(byteCountMax)
        hasher.combine(detail)
    }
}

extension FramingError: CustomStringConvertible {
    public var description: String { "\(code): \(detail)" }
}
