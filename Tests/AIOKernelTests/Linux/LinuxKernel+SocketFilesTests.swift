// Socket files: a dead process's is removed, a living one's and anything else is not.

import Glibc
import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct SocketFilesTests {
        let kernel = LinuxKernel()

        @Test func `a stale socket file is removed`() throws {
            let directory = try TemporaryDirectory()
            let path = "\(directory.path)/s"
            _ = try kernel.listener(on: .unix(path)).number
            #expect(kernel.socketFileIdentity(at: path) != nil)
            #expect(kernel.removeStaleSocket(at: path))
            #expect(kernel.socketFileIdentity(at: path) == nil)
            #expect(!kernel.removeStaleSocket(at: path))
        }

        @Test func `the socket file of a listener stays`() throws {
            let directory = try TemporaryDirectory()
            let path = "\(directory.path)/s"
            let listener = try kernel.listener(on: .unix(path))
            #expect(!kernel.removeStaleSocket(at: path))
            #expect(kernel.socketFileIdentity(at: path) != nil)
            #expect(listener.number >= 0)
        }

        @Test func `a file that is no socket stays`() throws {
            let directory = try TemporaryDirectory()
            let path = "\(directory.path)/f"
            unsafe Glibc.close(creat(path, 0o600))
            #expect(kernel.socketFileIdentity(at: path) == nil)
            #expect(!kernel.removeStaleSocket(at: path))
            kernel.removeSocketFile(at: path)
            #expect(unsafe access(path, F_OK) == 0)
        }

        @Test func `a file that was replaced has another identity`() throws {
            let directory = try TemporaryDirectory()
            let path = "\(directory.path)/s"
            let first = try kernel.listener(on: .unix(path))
            let identity = kernel.socketFileIdentity(at: path)
            #expect(identity != nil && identity == kernel.socketFileIdentity(at: path))
            unsafe rename(path, "\(directory.path)/old")
            let second = try kernel.listener(on: .unix(path))
            #expect(kernel.socketFileIdentity(at: path) != identity)
            #expect(first.number != second.number)
            kernel.removeSocketFile(at: path)
            #expect(kernel.socketFileIdentity(at: path) == nil)
        }

        @Test func `a path with a NUL byte names no file`() {
            #expect(kernel.socketFileIdentity(at: "/tmp\u{0}/x") == nil)
            #expect(!kernel.removeStaleSocket(at: "a\u{0}b"))
        }
    }
}
