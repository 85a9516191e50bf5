// What the engine reports, as log messages: for programs that use swift-log. Nothing else of the package
// knows of it.

import AIOKernel
public import AIOWorkers
public import Logging
import SystemPackage

extension EngineConfiguration {
    /// Has reports logged by `logger`, in place of whatever `report` did before (by default: a line to
    /// standard error).
    ///
    /// A `.notice` is logged at level `notice`, a `.warning` at `warning`, an `.error` at `error`. The
    /// message is `Report.message`; what is known of the error is metadata: `error.code` (`descriptorLimit`),
    /// `error.errno` (`24`), `error.call` (`accept4`), `error.detail` (`127.0.0.1:80`), each only if it is
    /// known. Reports come from any thread, I/O workers included, and are rare: a log handler that blocks
    /// holds up a worker.
    ///
    /// ```swift
    /// var configuration = Proactor.Configuration()
    /// configuration.log(to: Logger(label: "aio"))
    /// let aio = try Proactor(configuration)
    /// ```
    public mutating func log(to logger: Logger) {
        report = { report in
            logger.log(level: report.severity.level, "\(report.message)", metadata: report.error?.metadata)
        }
    }
}

extension Report.Severity {
    fileprivate var level: Logger.Level {
        switch self {
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}

extension AIOError {
    fileprivate var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = ["error.code": "\(code)"]
        if let errno { metadata["error.errno"] = "\(errno.rawValue)" }
        if let call { metadata["error.call"] = "\(call)" }
        if let detail { metadata["error.detail"] = "\(detail)" }
        return metadata
    }
}
