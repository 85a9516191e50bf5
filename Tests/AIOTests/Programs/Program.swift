// A program of the package, beside the test bundle, with what it prints.

import AIO
import Foundation

/// A running program. Its output is one pipe, both streams.
final class Program: Sendable {
    private let process: Process
    private let lines: AsyncStream<String>
    private let exit: AsyncStream<Int32>

    init(_ name: String, _ arguments: [String]) throws {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: name)
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        let (exit, ended) = AsyncStream.makeStream(of: Int32.self)
        process.terminationHandler = {
            ended.yield($0.terminationStatus)
            ended.finish()
        }
        let (lines, more) = AsyncStream.makeStream(of: String.self)
        let reader = Thread {
            while true {
                let data = pipe.fileHandleForReading.availableData
                if data.isEmpty { break }
                more.yield(String(decoding: data, as: UTF8.self))
            }
            try? pipe.fileHandleForReading.close()
            more.finish()
        }
        try Self.onThreadOfItsOwn { try process.run() }
        // The child has its own end of the pipe; with ours open there would be no end of file.
        try pipe.fileHandleForWriting.close()
        reader.start()
        self.process = process
        self.lines = lines
        self.exit = exit
    }

    /// Foundation makes a run loop, with descriptors, for each thread that starts a process, and keeps it for as long as
    /// that thread: so the thread must not be one that goes on.
    static func onThreadOfItsOwn(_ body: @escaping @Sendable () throws -> Void) throws {
        nonisolated(unsafe) var failure: (any Error)?
        let isDone = DispatchSemaphore(value: 0)
        let thread = Thread {
            do { try body() } catch { unsafe failure = error }
            isDone.signal()
        }
        thread.start()
        isDone.wait()
        if let failure = unsafe failure { throw failure }
    }

    var identifier: Int32 { process.processIdentifier }

    /// What it says that it listens on.
    func listeningEndpoint() async -> Endpoint? {
        var text = ""
        for await piece in lines {
            text += piece
            guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("listening on ") }),
                text.contains("\n")
            else { continue }
            return try? Endpoint(parsing: String(line.dropFirst("listening on ".count)))
        }
        return nil
    }

    /// All that it prints until it ends.
    func output() async -> String {
        var text = ""
        for await piece in lines { text += piece }
        return text
    }

    /// Ends it with SIGTERM, if it runs; its exit status.
    func end() async -> Int32? {
        if process.isRunning { process.terminate() }
        var status: Int32?
        for await code in exit { status = code }
        // Until the pipe is closed: nothing is left.
        for await _ in lines {}
        return status
    }

    /// For tests that failed: nothing is left running.
    func kill() { if process.isRunning { process.interrupt() } }
}
