import AIO

/// Adds up numbers, a line each: `add 5` is answered with the sum so far, `bye` with the end.
public actor Tally: ConnectionHandler {
    public let connection: Connection
    private var sum = 0
    /// The beginning of a line whose end has not come yet.
    private var unfinished: [UInt8] = []
    private static let lineByteCountMax = 100

    public init(_ connection: Connection) { self.connection = connection }

    public func dataReceived(_ bytes: Bytes) async throws {
        unfinished += bytes
        while let end = unfinished.firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: unfinished[..<end], as: UTF8.self)
            unfinished.removeSubrange(...end)
            try await answer(line)
        }
        if unfinished.count > Self.lineByteCountMax {
            try await connection.write("error: line too long\n")
            connection.close()
        }
    }

    private func answer(_ line: String) async throws {
        let words = line.split(separator: " ")
        switch words.first {
        case "add":
            guard words.count == 2, let number = Int(words[1]) else {
                return try await connection.write("error: add what?\n")
            }
            let (total, overflow) = sum.addingReportingOverflow(number)
            guard !overflow else { return try await connection.write("error: too much\n") }
            sum = total
            try await connection.write("\(sum)\n")
        case "bye":
            try await connection.write("bye\n")
            connection.close()
        default:
            try await connection.write("error: add or bye\n")
        }
    }
}
