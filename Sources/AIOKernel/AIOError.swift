// What went wrong in the world, as a value: a code to switch over, the errno and the call where there was
// one. Made where a system call fails (Linux/), carried unchanged to whoever asked for the operation.

public import SystemPackage

/// An error from the operating system, from a peer, or from how an operation was asked for.
///
/// Compare `code` to react; print the error to see everything it knows:
/// `addressInUse: bind(127.0.0.1:80): Address already in use (EADDRINUSE)`.
public struct AIOError: Error, Sendable {
    /// One reference, because errors travel inside of reasons and actions that are copied for every message,
    /// and hardly ever are there.
    private let storage: Storage

    private final class Storage: Sendable {
        let code: Code
        let errno: Errno?
        let call: String?
        let detail: String?

        init(_ code: Code, _ errno: Errno?, _ call: String?, _ detail: String?) {
            self.code = code
            self.errno = errno
            self.call = call
            self.detail = detail
        }
    }

    /// What kind of failure this is. New codes may be added: keep a `default` when switching over it.
    public var code: Code { storage.code }
    /// The error number the system call returned, if a system call failed.
    public var errno: Errno? { storage.errno }
    /// The system call or library call that failed, such as `"bind"`; nil if none was made.
    public var call: String? { storage.call }
    /// What it was about (an address, a path, a limit with its number) in words for a person.
    public var detail: String? { storage.detail }

    public init(_ code: Code, errno: Errno? = nil, call: String? = nil, detail: String? = nil) {
        storage = Storage(code, errno, call, detail)
    }

    /// The error of a failed system call: the code follows from the error number.
    package init(errno: Errno, call: String, detail: String? = nil) {
        self.init(Code(errno), errno: errno, call: call, detail: detail)
    }
}

extension AIOError: Hashable {
    public static func == (a: AIOError, b: AIOError) -> Bool {
        a.code == b.code && a.errno == b.errno && a.call == b.call && a.detail == b.detail
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(code)
        hasher.combine(errno)
        hasher.combine(call)
        hasher.combine(detail)
    }
}

extension AIOError {
    /// The kinds of failure. A struct and not an enum, so that codes can be added without breaking programs.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        private init(_ description: String) { self.description = description }

        // What was asked for
        public static let malformedEndpoint = Code("malformedEndpoint")
        public static let invalidArgument = Code("invalidArgument")
        public static let unsupported = Code("unsupported")
        public static let limitReached = Code("limitReached")
        public static let tooLarge = Code("tooLarge")
        /// A frame was longer than its framing allows.
        public static let frameTooLong = Code("frameTooLong")
        /// The peer's bytes could not be cut into frames: a length that is none, an end in the middle.
        public static let malformedFrame = Code("malformedFrame")
        public static let closed = Code("closed")
        public static let shutDown = Code("shutDown")
        public static let cancelled = Code("cancelled")
        /// The program asked for something that is never right, such as a second read while one waits.
        public static let misuse = Code("misuse")
        /// The stream ended in the middle of what was asked for.
        public static let connectionClosedEarly = Code("connectionClosedEarly")
        /// `shutdown()` has waited long enough for handlers that do not end.
        public static let handlersStillRunning = Code("handlersStillRunning")

        // Addresses and names
        public static let addressInUse = Code("addressInUse")
        public static let addressNotAvailable = Code("addressNotAvailable")
        public static let hostNotFound = Code("hostNotFound")
        public static let nameResolutionFailed = Code("nameResolutionFailed")
        public static let permissionDenied = Code("permissionDenied")
        public static let notFound = Code("notFound")

        // Peers
        public static let connectionRefused = Code("connectionRefused")
        public static let connectionReset = Code("connectionReset")
        public static let connectionAborted = Code("connectionAborted")
        public static let unreachable = Code("unreachable")
        public static let timedOut = Code("timedOut")

        // The machine
        public static let descriptorLimit = Code("descriptorLimit")
        public static let outOfMemory = Code("outOfMemory")
        public static let diskRequestLimit = Code("diskRequestLimit")
        public static let inputOutput = Code("inputOutput")
        public static let other = Code("other")
    }
}

extension AIOError.Code {
    package init(_ errno: Errno) {
        switch errno {
        case .addressInUse: self = .addressInUse
        case .addressNotAvailable: self = .addressNotAvailable
        case .permissionDenied, .notPermitted: self = .permissionDenied
        case .noSuchFileOrDirectory: self = .notFound
        case .connectionRefused: self = .connectionRefused
        case .connectionReset, .brokenPipe: self = .connectionReset
        case .connectionAbort: self = .connectionAborted
        case .networkUnreachable, .noRouteToHost, .networkDown, .hostIsDown: self = .unreachable
        case .timedOut: self = .timedOut
        case .messageTooLong: self = .tooLarge
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem: self = .descriptorLimit
        case .noMemory, .noBufferSpace: self = .outOfMemory
        case .invalidArgument: self = .invalidArgument
        case .ioError: self = .inputOutput
        case .notSupported, .addressFamilyNotSupported, .noFunction: self = .unsupported
        default: self = .other
        }
    }
}

extension AIOError: CustomStringConvertible {
    public var description: String {
        var text = code.description
        switch (call, detail) {
        case (let call?, let detail?): text += ": \(call)(\(detail))"
        case (let call?, nil): text += ": \(call)"
        case (nil, let detail?): text += ": \(detail)"
        case (nil, nil): break
        }
        if let errno { text += ": \(errno.description) (errno \(errno.rawValue))" }
        return text
    }
}
