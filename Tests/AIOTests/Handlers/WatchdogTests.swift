// The watchdog says which thread a handler holds, for which connection, and not more often than is of use.

import AIOBytes
import AIOKernel
import Glibc
import Testing

@testable import AIO
@testable import AIOWorkers

extension Loopback {
    @Suite struct WatchdogTests {
        private static let threshold: Duration = .milliseconds(50)

        @Test(arguments: [HandlerExecutor.worker, .partner])
        func `a handler that holds its thread is reported with thread and connection, at doubling times`(
            executor: HandlerExecutor
        ) async throws {
            let reports = Recorder<Report>()
            let configuration = reporting(to: reports) {
                $0.workerCount = 1
                $0.watchdogThreshold = Self.threshold
            }
            try await withProactor(configuration) { aio in
                let (gate, connections) = (ThreadGate(), Recorder<Connection>())
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    connections.add(connection)
                    _ = try await connection.read()
                    gate.wait()
                }
                let peer = try RawPeer(connectingTo: serving.endpoint)
                try peer.send("hold")
                #expect(await eventually { reports.count >= 4 })
                gate.open()
                peer.close()
                _ = try await serving.drained()
                let id = try #require(connections.values.first?.id)
                let times = try reports.values.map { report in
                    let name = executor == .worker ? "aio-0" : "aio-0p"
                    #expect(report.severity == .warning && report.message.contains("thread \(name) "))
                    #expect(
                        report.message.hasSuffix("connection read there is \(id)")
                            || report.message.contains(" \(id)"))
                    return try #require(Self.milliseconds(of: report.message))
                }
                #expect(times[0] >= 50)
                // Rounded down to whole milliseconds.
                for (before, after) in zip(times, times.dropFirst()) { #expect(after >= 2 * before) }
            }
        }

        /// Holds the thread that shows it a byte until the gate is open.
        private struct Holding: Framer {
            let gate: ThreadGate
            var frameByteCountMax: Int { 1 }
            mutating func advance(over bytes: RawSpan) -> FramerStep {
                gate.wait()
                return .complete(byteCount: 1)
            }
            mutating func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }
        }

        @Test(arguments: HandlerExecutor.all)
        func `a framer that holds its worker is reported as a handler is`(executor: HandlerExecutor)
            async throws
        {
            let reports = Recorder<Report>()
            let configuration = reporting(to: reports) {
                $0.workerCount = 1
                $0.watchdogThreshold = Self.threshold
            }
            try await withProactor(configuration) { aio in
                let (gate, connections) = (ThreadGate(), Recorder<Connection>())
                let options = ServerOptions.testing {
                    $0.executor = executor
                    $0.framing = .custom { Holding(gate: gate) }
                }
                let serving = try await aio.serving(options) { connection in
                    connections.add(connection)
                    while try await connection.read() != nil {}
                }
                let peer = try RawPeer(connectingTo: serving.endpoint)
                try peer.send("x")
                #expect(await eventually { reports.count >= 1 })
                gate.open()
                peer.close()
                let report = try #require(reports.values.first)
                #expect(report.message.contains("thread aio-0 "))
                _ = try await serving.drained()
                #expect(report.message.hasSuffix(" \(try #require(connections.values.first).id)"))
            }
        }

        /// The number in "… for 57 ms, …".
        private static func milliseconds(of message: String) -> Int? {
            guard let range = message.firstRange(of: " for ") else { return nil }
            return Int(message[range.upperBound...].prefix { $0.isNumber })
        }

        @Test func `a second long job is reported anew, from the threshold on`() async throws {
            let reports = Recorder<Report>()
            let configuration = reporting(to: reports) {
                $0.workerCount = 1
                $0.watchdogThreshold = Self.threshold
            }
            try await withProactor(configuration) { aio in
                let gates = (0..<2).map { _ in ThreadGate() }
                let serving = try await aio.serving { connection in
                    for gate in gates {
                        _ = try await connection.read(exactly: 1)
                        gate.wait()
                    }
                }
                let peer = try RawPeer(connectingTo: serving.endpoint)
                try peer.send("1")
                #expect(await eventually { reports.count >= 3 })
                gates[0].open()
                let before = reports.count
                try peer.send("2")
                #expect(await eventually { reports.count > before })
                gates[1].open()
                peer.close()
                _ = try await serving.drained()
                let times = reports.values.compactMap { Self.milliseconds(of: $0.message) }
                // The last of the first job may have come while its gate was opened.
                #expect(times.count == reports.count && times.dropFirst(3).contains { $0 < times[2] })
            }
        }

        /// That such threads are not reported, for however long, is tested where time is virtual: in AIOWorkersTests.
        @Test(arguments: [HandlerExecutor.worker, .partner])
        func `a handler that waits holds no thread, and a busy one lets go of it with each message`(
            executor: HandlerExecutor
        ) async throws {
            try await withProactor(.testing { $0.workerCount = 1 }) { aio in
                let gate = Gate()
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    await gate.wait()
                    try await connection.echo()
                }
                let endpoint = serving.endpoint
                let peer = try RawPeer(connectingTo: endpoint)
                try await gate.arrived()
                let worker = aio.engine.workers[0]
                let executors =
                    executor == .worker ? worker.executors : try #require(worker.partner?.executors)
                let progress = executors.progress
                #expect(await eventually { progress.current.isMultiple(of: 2) }, "a job that has not ended")
                gate.open()
                try await onThread { () throws in
                    for _ in 0..<100 {
                        let before = progress.current
                        #expect(try peer.exchange("busy") == "busy")
                        try #require(progress.current > before)
                    }
                    peer.close()
                }
                _ = try await serving.drained()
            }
        }

        @Test func `without a threshold nothing is woken to look`() async throws {
            let configuration = Proactor.Configuration.testing {
                $0.workerCount = 1
                $0.watchdogThreshold = nil
            }
            try await withProactor(configuration) { aio in
                let serving = try await aio.serving { try await $0.echo() }
                let endpoint = serving.endpoint
                // It names itself, once it runs.
                #expect(await eventually { Self.sleeps(ofThread: "aio-watch") != nil })
                try await onThread { () throws in
                    let peer = try RawPeer(connectingTo: endpoint)
                    #expect(try peer.exchange("once") == "once")
                    let before = try #require(Self.sleeps(ofThread: "aio-watch"))
                    for _ in 0..<200 { #expect(try peer.exchange("again") == "again") }
                    let after = try #require(Self.sleeps(ofThread: "aio-watch"))
                    #expect(after - before < 20, "the watchdog was woken for jobs that it does not watch")
                    peer.close()
                }
                _ = try await serving.drained()
            }
        }

        /// How often a thread of this process has gone to sleep (proc(5)).
        private static func sleeps(ofThread name: String) -> Int? {
            for number in entries(of: "/proc/self/task") {
                guard text(of: "/proc/self/task/\(number)/comm") == name + "\n" else { continue }
                let lines = text(of: "/proc/self/task/\(number)/status").split(separator: "\n")
                let line = lines.first { $0.hasPrefix("voluntary_ctxt_switches:") }
                return line.flatMap { Int($0.split(separator: "\t").last ?? "") }
            }
            return nil
        }

        private static func text(of path: String) -> String {
            let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
            guard number >= 0 else { return "" }
            defer { close(number) }
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(number, $0.baseAddress!, $0.count) }
            return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
        }

        private static func entries(of path: String) -> [String] {
            guard let directory = unsafe opendir(path) else { return [] }
            defer { unsafe closedir(directory) }
            var names: [String] = []
            while let entry = unsafe readdir(directory) {
                names.append(
                    unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                    })
            }
            return names.filter { !$0.hasPrefix(".") }
        }
    }
}
