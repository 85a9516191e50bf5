// The framer of a connection while it is at work: one of the built-in ones, called without a detour, or one
// of the program's. `FrameBuffer` drives it.

/// A framer, built-in or the program's.
///
/// An enumeration, so that a call of a built-in framer is a jump and not a look-up in a witness table, and
/// its state is in place and not in a box.
package enum ActiveFramer: Framer {
    case raw(RawFramer)
    case lines(LineFramer)
    case delimited(DelimiterFramer)
    case lengthPrefixed(LengthPrefixFramer)
    case varint(VarintFramer)
    case fixed(FixedFramer)
    case netstrings(NetstringFramer)
    case heads(HeadFramer)
    case custom(any Framer)

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        let step: FramerStep
        switch self {
        case .raw(var framer):
            step = framer.advance(over: bytes)
            self = .raw(framer)
        case .lines(var framer):
            step = framer.advance(over: bytes)
            self = .lines(framer)
        case .delimited(var framer):
            step = framer.advance(over: bytes)
            self = .delimited(framer)
        case .lengthPrefixed(var framer):
            step = framer.advance(over: bytes)
            self = .lengthPrefixed(framer)
        case .varint(var framer):
            step = framer.advance(over: bytes)
            self = .varint(framer)
        case .fixed(var framer):
            step = framer.advance(over: bytes)
            self = .fixed(framer)
        case .netstrings(var framer):
            step = framer.advance(over: bytes)
            self = .netstrings(framer)
        case .heads(var framer):
            step = framer.advance(over: bytes)
            self = .heads(framer)
        case .custom(var framer):
            step = framer.advance(over: bytes)
            self = .custom(framer)
        }
        return step
    }

    package mutating func streamEnded() -> UnfinishedFrame {
        // Nothing follows, so the state need not be put back.
        var framer = current
        return framer.streamEnded()
    }

    package var frameByteCountMax: Int { max(1, current.frameByteCountMax) }

    package var isDiscarding: Bool {
        switch self {
        case .raw, .fixed: false
        case .lines(let framer): framer.isDiscarding
        case .delimited(let framer): framer.isDiscarding
        case .lengthPrefixed(let framer): framer.isDiscarding
        case .varint(let framer): framer.isDiscarding
        case .netstrings(let framer): framer.isDiscarding
        case .heads(let framer): framer.isDiscarding
        case .custom(let framer): framer.isDiscarding
        }
    }

    package var isRaw: Bool {
        if case .raw = self { true } else { false }
    }

    /// The framer in a box, for what is asked seldom.
    private var current: any Framer {
        switch self {
        case .raw(let framer): framer
        case .lines(let framer): framer
        case .delimited(let framer): framer
        case .lengthPrefixed(let framer): framer
        case .varint(let framer): framer
        case .fixed(let framer): framer
        case .netstrings(let framer): framer
        case .heads(let framer): framer
        case .custom(let framer): framer
        }
    }
}
