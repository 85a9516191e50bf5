// A signal of the process as a value. From the signal pipe to the event stream.

/// A signal, signal(7).
public struct ProcessSignal: Hashable, Sendable, RawRepresentable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// SIGHUP
    public static let hangUp = ProcessSignal(rawValue: 1)
    /// SIGINT: Ctrl-C
    public static let interrupt = ProcessSignal(rawValue: 2)
    /// SIGQUIT
    public static let quit = ProcessSignal(rawValue: 3)
    /// SIGUSR1
    public static let user1 = ProcessSignal(rawValue: 10)
    /// SIGUSR2
    public static let user2 = ProcessSignal(rawValue: 12)
    /// SIGTERM
    public static let terminate = ProcessSignal(rawValue: 15)
}

extension ProcessSignal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .hangUp: "SIGHUP"
        case .interrupt: "SIGINT"
        case .quit: "SIGQUIT"
        case .user1: "SIGUSR1"
        case .user2: "SIGUSR2"
        case .terminate: "SIGTERM"
        default: "signal \(rawValue)"
        }
    }
}
