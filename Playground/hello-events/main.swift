import AIO

let address = CommandLine.arguments.dropFirst().first ?? "127.0.0.1:7007"

let aio = try Proactor()
let listener = try await aio.events.listen(on: address)
print("listening on \(listener.endpoint)")

for await event in aio.events {
    switch event {
    case .accepted(let connection): connection.send("hello\r\n")
    case .received(let bytes, let connection): connection.send(bytes)
    case .closed(let connection, let reason): print("\(connection) closed: \(reason)")
    default: break
    }
}
