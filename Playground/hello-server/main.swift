import AIO

let address = CommandLine.arguments.dropFirst().first ?? "127.0.0.1:7008"

try await withProactor { aio in
    try aio.drain(on: [.interrupt, .terminate], within: .seconds(5))
    try await aio.serve(on: address) { connection in
        try await connection.write("hello\r\n")
        for try await chunk in connection.chunks {
            try await connection.write(chunk)
        }
    }
}
