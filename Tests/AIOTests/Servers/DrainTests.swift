// The graceful end of a server where it takes a real process: signals, and requests that come on many threads at once. The
// rest is in Tests/AIOSimulatedTests/Servers: DrainTests.swift, DrainAcceptTests.swift.

import AIOBytes
import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

extension Loopback {
    @Suite struct DrainTests {
        @Test func `a signal drains, and a second one cuts`() async throws {
            try await withProactor(.testing { $0.report = { _ in } }) { aio in
                try aio.drain(on: [.user1, .user2], within: .seconds(600))
                let arrived = Arrivals()
                let idler = Recorder<Connection>()
                let serving = try await aio.serving { connection in
                    if try await connection.peek(atLeast: 4) != "half" { idler.add(connection) }
                    arrived.note()
                    while try await connection.read(exactly: 10) != nil {}
                }
                let endpoint = serving.endpoint
                let (half, idle) = try await onThread {
                    let (half, idle) = try (RawPeer(connectingTo: endpoint), RawPeer(connectingTo: endpoint))
                    try half.send("half")
                    try idle.send("0123456789")
                    return (half, idle)
                }
                try await arrived.reached(2)
                kill(getpid(), SIGUSR1)
                try await onThread { () throws in
                    #expect(try idle.seesEnd())
                    idle.close()
                }
                // The server has to hear of its peer's end, or the cut would find it open.
                for connection in idler.values { _ = try await connection.closed() }
                kill(getpid(), SIGUSR2)
                try await onThread { () throws in
                    #expect(half.seesReset())
                    half.close()
                }
                let report = try await serving.report
                #expect(report.accepted == 2 && report.openAtDrain == 2)
                #expect(report.completed == 1 && report.failed == 1 && report.cut == 1)
                #expect(throws: AIOError.self) { try aio.drain(on: [.user1]) }
            }
        }

        @Test(arguments: HandlerExecutor.all)
        func `a drain under load loses no request that a handler has read`(executor: HandlerExecutor)
            async throws
        {
            let requestsBeforeDrain = isSanitized ? 200 : 1_000
            try await withProactor(.testing()) { aio in
                let read = Recorder<String>()
                let replied = Recorder<String>()
                let answers = Arrivals()
                let serving = try await aio.serving(.testing { $0.executor = executor }) { connection in
                    while let request = try await connection.read(exactly: 8) {
                        read.add(String(decoding: Array(request), as: UTF8.self))
                        await Task.yield()
                        try await connection.write(request)
                    }
                }
                let endpoint = serving.endpoint
                async let clients: Void = withThrowingTaskGroup(of: Void.self) { clients in
                    for index in 0..<6 {
                        let client = LoadClient(
                            index: index, endpoint: endpoint, replied: replied, answers: answers)
                        clients.addTask {
                            try await onThread { index % 2 == 0 ? client.runKept() : client.runAnew() }
                        }
                    }
                    try await clients.waitForAll()
                }
                try await answers.reached(requestsBeforeDrain)
                let report = try await serving.drained()
                try await clients
                let lost = Set(read.values).subtracting(replied.values)
                #expect(lost.isEmpty)
                #expect(read.count == Set(read.values).count && replied.count == read.count)
                #expect(report.failed == 0 && report.cut == 0 && report.completed == report.accepted)
            }
        }
    }
}

/// Sends requests of eight bytes until the server is gone, and records those that were answered.
private struct LoadClient: Sendable {
    let index: Int
    let endpoint: Endpoint
    let replied: Recorder<String>
    let answers: Arrivals

    private func request(_ number: Int) -> String {
        let digits = "\(index * 1_000_000 + number)"
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    private func note(_ text: String) {
        replied.add(text)
        answers.note()
    }

    /// One connection, and a new one when the server ends it.
    func runKept() {
        var number = 0
        while let peer = try? RawPeer(connectingTo: endpoint) {
            defer { peer.close() }
            while true {
                let text = request(number)
                number += 1
                guard (try? peer.exchange(text)) == text else { break }
                note(text)
            }
        }
    }

    /// A connection for each request.
    func runAnew() {
        var number = 0
        while let peer = try? RawPeer(connectingTo: endpoint) {
            defer { peer.close() }
            let text = request(number)
            number += 1
            if (try? peer.exchange(text)) == text { note(text) }
        }
    }
}
