// Names to addresses, and errors that say which name.

import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct NamesTests {
        let kernel = LinuxKernel()

        @Test func `localhost is this machine`() throws {
            let endpoints = try kernel.resolve(host: "localhost", port: 80)
            #expect(!endpoints.isEmpty)
            #expect(endpoints.allSatisfy { $0.address?.isLoopback == true && $0.port == 80 })
            #expect(Set(endpoints).count == endpoints.count)
        }

        @Test(arguments: ["127.0.0.1", "::1", "fe80::1%1"])
        func `a numeric host is itself`(text: String) throws {
            #expect(try kernel.resolve(host: text, port: 1) == [.ip(IPAddress(parsing: text), port: 1)])
        }

        @Test func `an unknown host is an error with its name`() throws {
            let error = try #require(throws: AIOError.self) {
                try kernel.resolve(host: "nonexistent.invalid", port: 1)
            }
            // Without a name server the answer is "try again", with one it is "no such name".
            #expect([.hostNotFound, .nameResolutionFailed].contains(error.code))
            #expect(error.detail?.contains("nonexistent.invalid") == true && error.call == "getaddrinfo")
        }

        @Test(arguments: ["", "1.2", "a b", "local\u{0}host", "2130706433"])
        func `what is no host name is not looked up`(host: String) throws {
            let error = try #require(throws: AIOError.self) { try kernel.resolve(host: host, port: 1) }
            #expect(error.code == .malformedEndpoint && error.call == nil)
        }
    }
}
