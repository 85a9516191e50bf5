// What the engine tells the operator: rare, in words, with the error where there is one. Comes from workers
// and listeners, goes to `EngineConfiguration.report`.

public import AIOKernel
import SystemPackage

/// Something an operator should know that no event tells the program.
public struct Report: Sendable, CustomStringConvertible {
    public enum Severity: Sendable, Hashable { case notice, warning, error }

    public let severity: Severity
    public let message: String
    public let error: AIOError?

    package init(_ severity: Severity, _ message: String, error: AIOError? = nil) {
        self.severity = severity
        self.message = message
        self.error = error
    }

    public var description: String {
        let text = "\(severity): \(message)"
        return if let error { "\(text): \(error)" } else { text }
    }

    /// Writes one line to standard error, in one call.
    func printToStandardError() {
        let line = Array("aio: \(description)\n".utf8)
        // Standard error that cannot be written to is nobody's to repair here.
        _ = try? unsafe line.withUnsafeBytes { unsafe try FileDescriptor.standardError.writeAll($0) }
    }
}
