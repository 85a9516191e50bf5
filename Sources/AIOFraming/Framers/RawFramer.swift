// No frames: each piece of the stream is handed out as it came.

package struct RawFramer: Framer {
    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        .complete(byteCount: bytes.byteCount)
    }

    package mutating func streamEnded() -> UnfinishedFrame { .deliver() }

    package var frameByteCountMax: Int { 1 }
}
