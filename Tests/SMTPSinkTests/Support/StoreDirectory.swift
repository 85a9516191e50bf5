// A directory for stored messages, which is gone when the test is over.

import Foundation
import SystemPackage

/// A new, empty directory; deleted with everything in it when this is let go of.
final class StoreDirectory {
    let path: FilePath
    private let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "smtp-sink-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
        path = FilePath(url.path)
    }

    /// Sorted; those whose names begin with a dot, too.
    var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
    }

    func text(of name: String) throws -> String {
        String(decoding: try Data(contentsOf: url.appending(path: name)), as: UTF8.self)
    }

    func delete() throws { try FileManager.default.removeItem(at: url) }

    func empty() throws {
        for name in try names { try FileManager.default.removeItem(at: url.appending(path: name)) }
    }

    deinit { try? delete() }
}
