// Listening, as far as Linux has a say: addresses, errors, Unix socket files, the kernel's queue. Limits of accepting are in
// Tests/AIOSimulatedTests/ListenerTests.swift.

import AIOKernel
import Glibc
import SystemPackage
import Testing

@testable import AIO

extension Loopback {
    @Suite struct ListenerTests {
        private func code(listeningOn text: String, _ aio: Proactor) async -> AIOError.Code {
            do {
                let listener = try await aio.events.listen(on: text)
                Issue.record("listens on \(listener.endpoint)")
                return .other
            } catch {
                return error.code
            }
        }

        @Test func `a port in use is an error that names it`() async throws {
            let listener = try RawListener()
            try await withProactor(.testing()) { aio in
                let error = await #expect(throws: AIOError.self) {
                    try await aio.events.listen(on: listener.endpoint)
                }
                #expect(error?.code == .addressInUse)
                #expect(error?.detail == listener.endpoint.description)
            }
            listener.close()
        }

        @Test func `two listeners of one proactor do not share a port by accident`() async throws {
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: "127.0.0.1:0")
                #expect(await code(listeningOn: listener.endpoint.description, aio) == .addressInUse)
            }
        }

        @Test
        func `an address of another machine, a missing directory and a bad text are errors of their own`()
            async throws
        {
            try await withProactor(.testing()) { aio in
                #expect(await code(listeningOn: "192.0.2.1:0", aio) == .addressNotAvailable)
                #expect(await code(listeningOn: "unix:/tmp/aio-tests-missing/a.sock", aio) == .notFound)
                #expect(await code(listeningOn: "127.0.0.1", aio) == .malformedEndpoint)
                let unknown = await code(listeningOn: "no-such-host.invalid:80", aio)
                #expect([.hostNotFound, .nameResolutionFailed].contains(unknown))
            }
        }

        @Test func `a directory that may not be written to is a permission denied`() async throws {
            // Not even root may create files here.
            let path = "unix:/sys/a.sock"
            let expected = try #require(throws: AIOError.self) {
                try RawListener(on: Endpoint(parsing: path)).close()
            }
            try await withProactor(.testing()) { aio in
                // On a machine whose /sys is mounted read-only the kernel says that instead.
                #expect(await code(listeningOn: path, aio) == expected.code)
                if expected.errno != .readOnlyFileSystem { #expect(expected.code == .permissionDenied) }
            }
        }

        @Test func `a Unix socket's file is there while it listens and gone afterwards`() async throws {
            let directory = try TemporaryDirectory()
            try await withProactor(.testing()) { aio in
                let pair = try await aio.pair(on: "unix:\(directory.path)/a.sock")
                #expect(directory.exists("a.sock"))
                #expect(pair.client.peer.path == "\(directory.path)/a.sock")
                await pair.listener.close()
                #expect(!directory.exists("a.sock"))
                try await aio.events.listen(on: "unix:\(directory.path)/b.sock")
            }
            #expect(!directory.exists("b.sock"), "shutdown closes listeners")
        }

        @Test func `a stale Unix socket file is replaced, one that is listened on is not`() async throws {
            let directory = try TemporaryDirectory()
            let endpoint = Endpoint.unix("\(directory.path)/a.sock")
            // What a process that died leaves behind: the file without the socket.
            try RawListener(on: endpoint).close()
            try #require(directory.exists("a.sock"))
            try await withProactor(.testing()) { aio in
                try await aio.events.listen(on: endpoint)
                #expect(await code(listeningOn: endpoint.description, aio) == .addressInUse)
                let client = try aio.events.connect(to: endpoint)
                try await aio.run { if case .connected(client) = $0 { true } else { false } }
            }
        }

        @Test func `a file that somebody else has put in the socket's place is left alone`() async throws {
            let directory = try TemporaryDirectory()
            let endpoint = Endpoint.unix("\(directory.path)/a.sock")
            try await withProactor(.testing()) { aio in
                let listener = try await aio.events.listen(on: endpoint)
                directory.remove("a.sock")
                let other = try RawListener(on: endpoint)
                await listener.close()
                #expect(directory.exists("a.sock"))
                other.close()
            }
        }

        @Test func `what waits in the kernel when a listener is closed is accepted first`() async throws {
            try await withProactor(.testing { $0.unseenConnectionsMax = 1_000 }) { aio in
                for count in [30, 300] {
                    let listener = try await aio.events.listen(on: "127.0.0.1:0")
                    let peers = try (0..<count).map { _ in try RawPeer(connectingTo: listener.endpoint) }
                    await listener.close()
                    var accepted = 0
                    try await aio.run { event in
                        if case .accepted(let connection) = event {
                            accepted += 1
                            connection.send("!")
                        }
                        return accepted == count
                    }
                    for peer in peers { #expect(try peer.receiveText(1) == "!") }
                }
            }
        }
    }
}
