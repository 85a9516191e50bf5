// A listening socket of a server that breaks, as Linux has it. What else goes wrong in a server's life is in
// Tests/AIOSimulatedTests/Servers/ServerLifeTests.swift.

import AIOKernel
import AIOWorkers
import Glibc
import Testing

@testable import AIO

extension Loopback {
    @Suite struct ServerLifeTests {
        @Test func `a listening socket that breaks drains the server, and is what serve throws`() async throws
        {
            try await withProactor(.testing { $0.report = { _ in } }) { aio in
                let gate = Gate()
                let serving = try await aio.serving(.testing { $0.sharesListener = true }) { connection in
                    for try await chunk in connection.chunks {
                        await gate.wait()
                        try await connection.write(chunk)
                    }
                }
                let endpoint = serving.endpoint
                let peer = try RawPeer(connectingTo: endpoint)
                try peer.send("reply")
                try await gate.arrived()
                for number in Self.listeners(on: endpoint) {
                    #expect(Glibc.shutdown(number, Int32(SHUT_RDWR)) == 0)
                }
                // At once, as far as the kernel is concerned.
                #expect(isRefused(endpoint))
                gate.open()
                try await onThread { () throws in
                    #expect(try peer.receiveToEnd() == Array("reply".utf8))
                    peer.close()
                }
                let error = await #expect(throws: AIOError.self) { try await serving.report }
                #expect(error?.call == "accept4" && error?.code == .invalidArgument)
            }
        }

        /// Descriptors of this process that listen at an address.
        private static func listeners(on endpoint: Endpoint) -> [Int32] {
            (3..<1_024).filter { number in
                var listens: Int32 = 0
                var length = socklen_t(MemoryLayout<Int32>.size)
                var address = sockaddr_in()
                var addressLength = socklen_t(MemoryLayout<sockaddr_in>.size)
                let isNamed = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        unsafe getsockname(number, $0, &addressLength) == 0
                    }
                }
                guard unsafe getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 else {
                    return false
                }
                return isNamed && listens == 1 && address.sin_port.byteSwapped == endpoint.port
            }
        }
    }
}
