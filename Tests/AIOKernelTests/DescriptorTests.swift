// A descriptor is closed once, by its last owner, on every path.

import Glibc
import Testing

@testable import AIOKernel

extension RealKernel {
    @Suite struct DescriptorTests {
        let kernel = LinuxKernel()

        @Test func `a test with real descriptors has a table of its own`() throws {
            #expect(PseudoFile.read("/proc/thread-self/comm") == "test\n")
            let others = openDescriptors().filter { $0.key > 2 && $0.value != "/dev/null" }
            #expect(others.isEmpty)
        }

        @Test func `a descriptor is open while it is owned and closed when its owner lets go`() throws {
            let placeholder = try kernel.openPlaceholder()
            let number = placeholder.number
            #expect(openDescriptors()[number] == "/dev/null")
            let moved = consume placeholder
            #expect(openDescriptors()[number] == "/dev/null")
            _ = consume moved
            #expect(openDescriptors()[number] == nil)
        }

        @Test func `a descriptor is closed when an error is thrown past it`() throws {
            func failing() throws -> Int32 {
                let placeholder = try kernel.openPlaceholder()
                if placeholder.number >= 0 { throw AIOError(.other) }
                return placeholder.number
            }
            let before = openDescriptors()
            #expect(throws: AIOError.self) { try failing() }
            #expect(openDescriptors() == before)
        }

        @Test func `a shared descriptor is closed with its last reference`() throws {
            let before = openDescriptors()
            var references = [SharedDescriptor(try kernel.openPlaceholder())]
            references.append(references[0])
            #expect(openDescriptors().count == before.count + 1)
            references.removeLast()
            #expect(openDescriptors().count == before.count + 1)
            references.removeLast()
            #expect(openDescriptors() == before)
        }

        @Test func `every descriptor is closed on exec`() throws {
            let made = [
                SharedDescriptor(try kernel.openPlaceholder()), SharedDescriptor(try kernel.makeEpoll()),
                SharedDescriptor(try kernel.makeEventCounter()),
                SharedDescriptor(try kernel.makeStreamSocket(for: .any(port: 0))),
            ]
            for one in made { #expect(try descriptorFlags(of: one.descriptor.number) & 0o2000000 != 0) }
        }

        /// Of open(2), as the kernel prints them in octal.
        private func descriptorFlags(of number: Int32) throws -> Int {
            let information = try #require(PseudoFile.read("/proc/thread-self/fdinfo/\(number)"))
            let line = try #require(information.split(separator: "\n").first { $0.hasPrefix("flags:") })
            return try #require(Int(line.dropFirst(6).drop(while: \.isWhitespace), radix: 8))
        }
    }
}
