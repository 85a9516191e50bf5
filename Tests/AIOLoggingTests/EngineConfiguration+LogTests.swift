// Reports become log messages: level, text and metadata.

import AIOKernel
import AIOLogging
import AIOWorkers
import Logging
import SystemPackage
import Testing

/// What was logged. Sendable, unchecked: guarded by `lock`.
private final class Recording: @unchecked Sendable {
    struct Entry: Equatable {
        let level: Logger.Level
        let message: String
        let metadata: Logger.Metadata?
    }

    private let lock = PosixLock()
    private var list: [Entry] = []

    func append(_ entry: Entry) { lock.withLock { list.append(entry) } }
    var entries: [Entry] { lock.withLock { list } }
}

private struct RecordingHandler: LogHandler {
    let recording: Recording
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(_ recording: Recording) { self.recording = recording }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(
        level: Logger.Level, message: Logger.Message, metadata: Logger.Metadata?, source: String,
        file: String,
        function: String, line: UInt
    ) {
        recording.append(.init(level: level, message: "\(message)", metadata: metadata))
    }
}

@Suite struct EngineConfigurationLogTests {
    private let recording = Recording()

    /// A configuration that logs to `recording`.
    private func configuration(at level: Logger.Level = .trace) -> EngineConfiguration {
        var logger = Logger(label: "aio") { [recording] _ in RecordingHandler(recording) }
        logger.logLevel = level
        var configuration = EngineConfiguration()
        configuration.log(to: logger)
        return configuration
    }

    @Test func `severities become levels`() {
        let configuration = configuration()
        configuration.report(Report(.notice, "a"))
        configuration.report(Report(.warning, "b"))
        configuration.report(Report(.error, "c"))
        #expect(
            recording.entries == [
                .init(level: .notice, message: "a", metadata: nil),
                .init(level: .warning, message: "b", metadata: nil),
                .init(level: .error, message: "c", metadata: nil),
            ])
    }

    @Test func `the error is metadata, as far as it is known`() throws {
        let configuration = configuration()
        let error = AIOError(errno: .tooManyOpenFiles, call: "accept4", detail: "127.0.0.1:80")
        configuration.report(Report(.error, "no descriptors", error: error))
        configuration.report(Report(.warning, "going down", error: AIOError(.shutDown)))
        #expect(
            recording.entries == [
                .init(
                    level: .error, message: "no descriptors",
                    metadata: [
                        "error.code": "descriptorLimit", "error.errno": "24", "error.call": "accept4",
                        "error.detail": "127.0.0.1:80",
                    ]),
                .init(level: .warning, message: "going down", metadata: ["error.code": "shutDown"]),
            ])
    }

    @Test func `the logger's own level applies`() {
        let configuration = configuration(at: .error)
        configuration.report(Report(.warning, "not seen"))
        configuration.report(Report(.error, "seen"))
        #expect(recording.entries.map(\.message) == ["seen"])
    }
}
