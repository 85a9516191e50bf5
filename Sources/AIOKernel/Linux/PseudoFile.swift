// Reads the small files of /proc and /sys in which the kernel states its limits. For set-up and error texts
// only.

internal import SystemPackage

enum PseudoFile {
    private static let byteCountMax = 65_536

    /// The text of a file, up to 64 KiB of it; nil if it cannot be read.
    static func read(_ path: String) -> String? {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec) else {
            return nil
        }
        defer { try? file.close() }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while text.count < byteCountMax {
            // SAFETY: `read` writes at most the buffer's own count.
            guard let count = try? unsafe chunk.withUnsafeMutableBytes({ unsafe try file.read(into: $0) })
            else { return nil }
            if count == 0 { break }
            text += chunk[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The number that a file such as /proc/sys/fs/aio-nr consists of.
    static func number(_ path: String) -> Int? {
        read(path).flatMap { Int($0.prefix { $0.isASCII && $0.isNumber }) }
    }
}
