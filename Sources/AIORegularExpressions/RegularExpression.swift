// Regular expressions as patterns of filters: asked about whole frames on workers' threads. The engine is RE2, through the
// few C functions of Sources/CAIORE2; this product alone needs it, and C++.

public import AIOBytes
public import AIOFraming
import CAIORE2

// Theory of operation
//
// What a peer sends is compared with patterns on a thread that has other connections to look after, so the time must be bounded
// by the frame's length whatever is in it. Back-tracking engines are not: `(a+)+b` takes them time exponential in the number of
// a's. RE2 runs through a frame once, as a finite automaton whose states it makes as they are needed and keeps in a cache of
// bounded size. A pattern for which states are made faster than they are used again is simulated instead: a list of the
// instructions that the automaton could be at, for each byte. That is at most the program's size a byte, in memory of the
// program's size; it needs no cache, and so no limit of memory decides about an answer. (Checked in RE2's source: every
// failure of the cached automaton, and a missing program for going backward, leads there.)
//
// Compiled expressions are immutable but for that cache, which RE2 guards itself: a shared lock for each frame, an exclusive
// one when the cache is begun anew.

/// A regular expression that is matched in time linear in the frame, with bounded memory.
///
/// ```swift
/// let hosts = try RegularExpression(#"(?i)HELO\s+[a-z0-9.-]{1,253}"#)
/// let filter = try FrameFilter(judging: .firstFrame, otherwise: .close, rules: [.pass(.matching(hosts))])
/// ```
///
/// The syntax is RE2's, https://github.com/google/re2/wiki/Syntax: Perl's without what needs back-tracking, that is back
/// references and look-around. It is matched against the whole frame unless the options say otherwise, and against bytes.
/// Any number of threads may use one expression at once; copies share it.
public struct RegularExpression: FramePattern {
    public let pattern: String
    public let options: Options
    private let compiled: CompiledExpression

    /// Compiles `pattern`.
    ///
    /// Throws if it is malformed, or larger than the options allow when it is compiled.
    public init(_ pattern: String, options: Options = Options()) throws(RegularExpressionError) {
        self.pattern = pattern
        self.options = options
        compiled = try CompiledExpression(pattern, options)
    }

    /// The instructions of the compiled expression, which is what `Options.programSizeMax` limits.
    public var programSize: Int { compiled.programSize }

    /// Whether `frame` matches, as `Options.extent` says. Any thread.
    ///
    /// Takes time in proportion to the frame's length: usually one or two nanoseconds a byte; at the worst, which a peer can
    /// bring about if the expression's caches are too small for it, about four for each instruction of `programSize`. Should
    /// the process be out of memory it ends, as everywhere in Swift.
    public func matches(_ frame: RawSpan) -> Bool {
        compiled.matches(frame)
    }

    /// Whether `frame` matches: for tests of an expression.
    public func matches(_ frame: Bytes) -> Bool {
        frame.withRawSpan { compiled.matches($0) }
    }
}

extension RegularExpression: CustomStringConvertible {
    /// `matching` and the pattern.
    public var description: String { "matching \(pattern)" }
}

extension FilterPattern {
    /// Frames that the regular expression `pattern` matches. What is wrong with it is thrown when the filter is made.
    public static func regularExpression(
        _ pattern: String, options: RegularExpression.Options = RegularExpression.Options()
    ) -> FilterPattern {
        .matching(try RegularExpression(pattern, options: options))
    }
}

/// Owns what RE2 has compiled.
@safe
private final class CompiledExpression: @unchecked Sendable {
    // Proof for @unchecked Sendable: the fields are constants, and the functions that are called after `init` may be called
    // by all threads at once; RE2 locks its caches.

    private let expression: OpaquePointer
    let programSize: Int

    init(_ pattern: String, _ options: RegularExpression.Options) throws(RegularExpressionError) {
        let byteCount = pattern.utf8.count
        guard byteCount <= options.patternByteCountMax else {
            throw RegularExpressionError(
                .tooLarge, pattern,
                "a pattern of \(byteCount) bytes; at most \(options.patternByteCountMax) are allowed")
        }
        if options.encoding == .bytes, let character = pattern.first(where: { !$0.isASCII }) {
            throw RegularExpressionError(
                .notASCII, pattern,
                "\(character) is not ASCII: write the byte's number, or match UTF-8", fragment: "\(character)"
            )
        }
        // SAFETY: `utf8` has `byteCount` bytes, and nothing of them is kept.
        let made = unsafe pattern.withCString { text in
            unsafe caio_re2_compile(
                text, byteCount, Int64(options.memoryByteCountMax), options.extent.code, options.ignoresCase,
                options.encoding == .utf8, options.dotMatchesNewlines)
        }
        guard let expression = unsafe made else {
            throw RegularExpressionError(.tooLarge, pattern, "there is no memory for it")
        }
        // From here on `deinit` frees it, also when something is thrown.
        unsafe self.expression = expression
        programSize = Int(unsafe caio_re2_program_size(expression))
        try checkOutcome(pattern, options)
    }

    deinit {
        // SAFETY: made in `init`, and nobody holds this object any more.
        unsafe caio_re2_free(expression)
    }

    func matches(_ frame: RawSpan) -> Bool {
        // SAFETY: the bytes are read before the call returns, and the expression is alive: we hold it.
        unsafe frame.withUnsafeBytes { bytes in
            unsafe caio_re2_matches(expression, bytes.baseAddress, bytes.count)
        }
    }

    private func checkOutcome(
        _ pattern: String, _ options: RegularExpression.Options
    ) throws(RegularExpressionError) {
        // SAFETY: the expression is alive, and its texts are copied at once.
        let outcome = unsafe Int(caio_re2_outcome(expression))
        guard outcome == CAIO_RE2_COMPILED else {
            let fragment = unsafe text(caio_re2_error_fragment)
            throw unsafe RegularExpressionError(
                outcome == CAIO_RE2_TOO_LARGE ? .tooLarge : .malformed, pattern, text(caio_re2_error),
                fragment: fragment.isEmpty ? nil : fragment)
        }
        guard programSize >= 0 else {
            throw RegularExpressionError(
                .tooLarge, pattern,
                "no room for the program: \(options.memoryByteCountMax) bytes of memory are allowed")
        }
        guard programSize <= options.programSizeMax else {
            throw RegularExpressionError(
                .tooLarge, pattern,
                "a program of \(programSize) instructions; at most \(options.programSizeMax) are allowed")
        }
    }

    @unsafe
    private func text(
        _ get: (OpaquePointer?, UnsafeMutablePointer<Int>?) -> UnsafePointer<CChar>?
    ) -> String {
        var count = 0
        let first = unsafe get(expression, &count)
        return unsafe String(
            decoding: UnsafeRawBufferPointer(start: first, count: first == nil ? 0 : count), as: UTF8.self)
    }
}

extension RegularExpression.Extent {
    fileprivate var code: CInt {
        switch self {
        case .wholeFrame: CInt(CAIO_RE2_WHOLE)
        case .prefix: CInt(CAIO_RE2_START)
        case .anywhere: CInt(CAIO_RE2_ANYWHERE)
        }
    }
}
