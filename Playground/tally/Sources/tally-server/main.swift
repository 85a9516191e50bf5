import AIO
import Tally

try await withProactor { aio in
    try aio.drain(on: [.interrupt, .terminate], within: .seconds(5))
    try await aio.serve(on: "127.0.0.1:7009", handler: Tally.init)
}
