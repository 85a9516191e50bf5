// Setting sockets up: families, dual stack, options, and errors that say what they are about.

import Glibc
import SystemPackage
import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct SocketsTests {
        let kernel = LinuxKernel()

        @Test func `the kernel's choice of a port is seen in the local endpoint`() throws {
            let listener = try kernel.listener(on: .ip(.loopbackV4, port: 0))
            let endpoint = try kernel.localEndpoint(of: listener)
            #expect(endpoint.address == .loopbackV4)
            #expect(try #require(endpoint.port) > 0)
        }

        @Test func `a listener on every interface says so and takes both families`() throws {
            let pair = try kernel.pair(on: .any(port: 0)) { .ip(.loopbackV4, port: $0.port ?? 0) }
            let local = try kernel.localEndpoint(of: pair.listener)
            #expect(local == .any(port: local.port ?? 0))
            #expect(pair.peer.address == .loopbackV4)
            #expect(try kernel.localEndpoint(of: pair.server) == .ip(.loopbackV4, port: local.port ?? 0))
            #expect(try kernel.peerEndpoint(of: pair.server) == pair.peer)
            let other = try kernel.pair(on: .any(port: 0)) { .ip(.loopbackV6, port: $0.port ?? 0) }
            #expect(other.peer.address == .loopbackV6)
        }

        @Test func `the same port can be bound for IPv4 and for IPv6`() throws {
            let first = try kernel.listener(on: .ip(.unspecifiedV6, port: 0))
            let endpoint = try kernel.localEndpoint(of: first)
            #expect(endpoint.address == .unspecifiedV6)
            let second = try kernel.listener(on: .ip(.unspecifiedV4, port: endpoint.port ?? 0))
            #expect(try kernel.localEndpoint(of: second).port == endpoint.port)
        }

        @Test func `a port in use is an error that names the call and the address`() throws {
            let listener = try kernel.listener(on: .ip(.loopbackV4, port: 0))
            let endpoint = try kernel.localEndpoint(of: listener)
            let error = try #require(throws: AIOError.self) { _ = try kernel.listener(on: endpoint).number }
            #expect(error.code == .addressInUse && error.errno == .addressInUse)
            #expect(error.description.hasPrefix("addressInUse: bind(\(endpoint)): Address already in use"))
        }

        @Test func `siblings can share a port that the first bound alone`() throws {
            let first = try kernel.makeStreamSocket(for: .any(port: 0))
            try kernel.bind(first, to: .any(port: 0))
            try kernel.set(.reusePort(true), on: first)
            let endpoint = try kernel.localEndpoint(of: first)
            let second = try kernel.makeStreamSocket(for: endpoint)
            try kernel.set(.reusePort(true), on: second)
            try kernel.bind(second, to: endpoint)
            #expect(try kernel.localEndpoint(of: second) == endpoint)
        }

        @Test func `an address of another machine cannot be bound`() throws {
            let error = try #require(throws: AIOError.self) {
                _ = try kernel.listener(on: .ip(.v4(192, 0, 2, 1), port: 0)).number
            }
            #expect(error.code == .addressNotAvailable)
            #expect(error.detail == "192.0.2.1:0")
        }

        @Test func `connecting to a port where nobody listens is refused`() throws {
            let listener = try kernel.listener(on: .ip(.loopbackV4, port: 0))
            let endpoint = try kernel.localEndpoint(of: listener)
            _ = consume listener
            #expect(throws: Errno.connectionRefused) { _ = try kernel.client(of: endpoint).number }
        }

        @Test func `a host name is not an address`() throws {
            let host = Endpoint.host("localhost", port: 80)
            let error = try #require(throws: AIOError.self) {
                _ = try kernel.makeStreamSocket(for: host).number
            }
            #expect(error.code == .invalidArgument && error.detail?.contains("localhost:80") == true)
            let socket = try kernel.makeStreamSocket(for: .any(port: 0))
            #expect(kernel.connect(socket, to: host).errno == .invalidArgument)
        }

        @Test func `options are set, and an unsuitable one is an error that names it`() throws {
            let socket = try kernel.makeStreamSocket(for: .ip(.loopbackV4, port: 0))
            let options: [SocketOption] = [
                .reuseAddress(true), .reusePort(true), .noDelay(true), .keepAlive(true),
                .sendBufferByteCount(8192),
                .receiveBufferByteCount(.max),
            ]
            for option in options { try kernel.set(option, on: socket) }
            var caught: AIOError?
            do { try kernel.set(.ipv6Only(true), on: socket) } catch { caught = error }
            #expect(caught?.call == "setsockopt" && caught?.detail == "ipv6Only(true)")
        }

        @Test func `listening twice for one Unix path is an error until the file is gone`() throws {
            let directory = try TemporaryDirectory()
            let endpoint = Endpoint.unix("\(directory.path)/s")
            let listener = try kernel.listener(on: endpoint)
            let error = try #require(throws: AIOError.self) { _ = try kernel.listener(on: endpoint).number }
            #expect(error.code == .addressInUse && error.detail == endpoint.description)
            kernel.removeSocketFile(at: "\(directory.path)/s")
            #expect(try kernel.listener(on: endpoint).number != listener.number)
        }

        @Test func `a Unix path without its directory is not found`() throws {
            let endpoint = Endpoint.unix("/nonexistent-directory/s")
            let error = try #require(throws: AIOError.self) { _ = try kernel.listener(on: endpoint).number }
            #expect(error.code == .notFound && error.call == "bind" && error.detail == endpoint.description)
            #expect(throws: Errno.noSuchFileOrDirectory) { _ = try kernel.client(of: endpoint).number }
        }

        @Test func `a Unix path in a directory of somebody else is denied`() throws {
            let directory = try TemporaryDirectory()
            let endpoint = Endpoint.unix("\(directory.path)/s")
            // Root may do anything anywhere. Its file-system identity is the thread's own, and this is the
            // test's own thread: as nobody, it has no business in a directory that only root may enter.
            let isRoot = geteuid() == 0
            if isRoot { try setFileSystemUser(65_534) } else { unsafe chmod(directory.path, 0o500) }
            defer { if isRoot { try? setFileSystemUser(0) } else { unsafe chmod(directory.path, 0o700) } }
            let error = try #require(throws: AIOError.self) { _ = try kernel.listener(on: endpoint).number }
            #expect(error.code == .permissionDenied && error.detail == endpoint.description)
        }

        @Test func `the addresses of a socket without any are an error or nothing`() throws {
            let socket = try kernel.makeStreamSocket(for: .abstract("x"))
            #expect(try kernel.localEndpoint(of: socket) == .unnamed)
            var caught: AIOError?
            do { _ = try kernel.peerEndpoint(of: socket) } catch { caught = error }
            #expect(caught?.call == "getpeername" && caught?.errno == .socketNotConnected)
        }
    }
}
