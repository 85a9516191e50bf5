// What cuts a byte stream into frames. A connection's `FrameBuffer` hands every piece that arrives to one of
// these; it looks at each byte once, keeps none, and says where frames end. The built-in ones are in
// Framers/; programs bring their own with `Framing.custom`.

/// Cuts a stream of bytes into frames.
///
/// A framer sees every byte of the stream once, in order, and remembers what it has to of those it has seen;
/// the bytes themselves are kept for it. Where a frame ends must follow from the bytes alone, not from the
/// pieces that they arrive in. It is called on whatever thread holds the connection's bytes, one call at a
/// time, and must neither wait nor take long.
public protocol Framer: Sendable {
    /// Looks at the bytes that follow those it has seen.
    ///
    /// It is called with each piece of the stream once, in order; after `.complete` and `.discard` again with
    /// what follows in the same piece. Never with no bytes.
    mutating func advance(over bytes: RawSpan) -> FramerStep

    /// Says what becomes of the bytes of a frame in which the stream has ended. It is not called if the
    /// stream ended between two frames.
    mutating func streamEnded() -> UnfinishedFrame

    /// The most bytes that a frame may take up, header and trailer included, at least 1. A connection lets in
    /// as many before it stops reading; a frame that has as many and is not complete fails with `.tooLong`.
    var frameByteCountMax: Int { get }

    /// Whether bytes that come now would be discarded: a frame was cut short, and the stream is not past its
    /// end.
    ///
    /// While this is so, a change of the framing waits. False unless implemented.
    var isDiscarding: Bool { get }
}

extension Framer {
    public var isDiscarding: Bool { false }
}

/// What a framer found in bytes that follow those it has seen before.
public enum FramerStep: Sendable, Hashable {
    /// All of them belong to a frame that is not complete.
    case incomplete

    /// A frame ends after the first `byteCount` of them (at least 1).
    ///
    /// Of the whole frame, from its first byte on, `header` bytes at the front and `trailer` bytes at the end
    /// are not its payload. A filter judges the payload. The first `keptTrailer` bytes of the trailer are handed out
    /// with it all the same.
    case complete(byteCount: Int, header: Int = 0, trailer: Int = 0, keptTrailer: Int = 0)

    /// The first `byteCount` of them (at least 1) belong to no frame: padding, or what is left of a frame
    /// that was cut short. Only between frames: not after `.incomplete`.
    case discard(byteCount: Int)

    /// The stream cannot be cut any more.
    case failed(FramingError)
}

/// What becomes of the bytes of a frame in which the stream has ended.
public enum UnfinishedFrame: Sendable, Hashable {
    /// They are a frame. `header` bytes at the front and `trailer` bytes at the end are not its payload.
    case deliver(header: Int = 0, trailer: Int = 0)

    /// They are an error.
    case fail(FramingError)
}
