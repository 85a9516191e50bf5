// What simulations cost: an echo exchange, a small test for each of many seeds, a timeout of an hour. Prints what scripts/bench
// simulation reads.

import AIO
import AIOTesting
import Glibc
import Testing

actor Shout: ConnectionHandler {
    let connection: Connection
    private var text = ""

    init(_ connection: Connection) { self.connection = connection }

    func dataReceived(_ bytes: Bytes) async throws {
        text += String(decoding: bytes, as: UTF8.self)
        while let end = text.firstIndex(of: "\r\n") {
            try await connection.write(Bytes(text[...end].uppercased()))
            text = String(text[text.index(after: end)...])
        }
    }
}

/// Microseconds of processor time that `body` takes, whoever else has the processor meanwhile.
func microseconds(_ body: () async throws -> Void) async throws -> Double {
    let start = processorTime()
    try await body()
    return processorTime() - start
}

func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
}

/// A 64-byte message there and back, in one long run of a seed.
func exchange(count: Int, seed: UInt64) async throws -> Double {
    let message = Bytes([UInt8](repeating: 120, count: 64))
    var total = 0.0
    try await Simulation(seed: seed).run { _ in
        try await withMockPeer(serving: { connection in
            for try await bytes in connection.chunks { try await connection.write(bytes) }
        }) { peer in
            total = try await microseconds {
                for _ in 0..<count {
                    try await peer.send(message)
                    try await peer.expect(message)
                }
            }
            peer.halfClose()
            try await peer.expectEnd()
        }
    }
    return total / Double(count)
}

/// The test of the manual's first page, made anew for each seed.
func smallTest(seeds: Range<UInt64>) async throws -> Double {
    try await microseconds {
        for seed in seeds {
            try await Simulation(seed: seed).run { _ in
                try await withMockPeer(Shout.init) { peer in
                    try await peer.send("he")
                    try await peer.send("llo\r\n")
                    try await peer.expect("HELLO\r\n")
                    peer.halfClose()
                    try await peer.expectEnd()
                }
            }
        }
    }
}

/// A peer that says nothing is cut after an hour.
func hour() async throws -> Double {
    var options = ServerOptions()
    options.connection = ConnectionLimits()
    options.connection?.idleTimeout = .seconds(3_600)
    let chosen = options
    return try await microseconds {
        try await Simulation(seed: 0).run { world in
            let start = world.clock.now
            try await withMockPeer(
                options: chosen, serving: { while let _ = try? await $0.read() {} }
            ) { try await $0.expectEnd(within: .seconds(4_000)) }
                guard start.duration(to: world.clock.now) >= .seconds(3_600) else { fatalError("too early") }
        }
    }
}

_ = try await smallTest(seeds: 0..<50)
var exchanges: [Double] = []
for seed in 0..<9 as Range<UInt64> { exchanges.append(try await exchange(count: 2_000, seed: seed)) }
let drawn = exchanges.dropFirst().sorted()[4]
let seeds = try await smallTest(seeds: 0..<1_000) / 1e6
let hourly = try await hour() / 1e3
print(
    """
    {"exchange_us": \(exchanges[0]), "exchange_drawn_us": \(drawn), "seeds_s": \(seeds), "hour_ms": \(hourly)}
    """)
