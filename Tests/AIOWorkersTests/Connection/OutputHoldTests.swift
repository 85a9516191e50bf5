// When reading waits for writing, by example.

import AIOKernel
import Testing

@testable import AIOWorkers

@Suite struct OutputHoldTests {
    private let mark = 100
    private func at(_ milliseconds: Int) -> MonotonicTime {
        MonotonicTime(nanoseconds: 0).advanced(by: .milliseconds(milliseconds))
    }

    /// For calls that change what they are called on, which the macro cannot take apart.
    private func expect<Value: Equatable>(
        _ value: Value, _ expected: Value, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(value == expected, sourceLocation: sourceLocation)
    }

    @Test func `Below the mark everything is read`() {
        var hold = OutputHold()
        for queued in 0...100 {
            expect(hold.look(queuedByteCount: queued, mark: mark, now: at(0)), .read(atMost: .max))
        }
    }

    @Test func `Above the mark reading goes on as long as the queue does not grow`() {
        var hold = OutputHold()
        for queued in [150, 150, 140, 120, 150] {
            expect(hold.look(queuedByteCount: queued, mark: mark, now: at(0)), .read(atMost: .max))
        }
    }

    /// A hold that begins with 151 bytes queued, at time 0.
    private func begun() -> OutputHold {
        var hold = OutputHold()
        expect(hold.look(queuedByteCount: 150, mark: mark, now: at(0)), .read(atMost: .max))
        expect(hold.look(queuedByteCount: 151, mark: mark, now: at(0)), .leaveUntil(at(100)))
        return hold
    }

    @Test func `A queue that grows above the mark begins a hold, which ends when the queue falls`() {
        var hold = begun()
        expect(hold.look(queuedByteCount: 151, mark: mark, now: at(1)), .leave)
        expect(hold.queueFell(), true)
        expect(hold.queueFell(), false)
        expect(hold.look(queuedByteCount: 40, mark: mark, now: at(2)), .read(atMost: .max))
    }

    @Test func `A queue that fell and was filled again is looked at afresh`() {
        var hold = OutputHold()
        expect(hold.look(queuedByteCount: 120, mark: mark, now: at(0)), .read(atMost: .max))
        expect(hold.queueFell(), false)
        // More than the first time, but nothing was read between: that is a flood and not an echo.
        expect(hold.look(queuedByteCount: 180, mark: mark, now: at(0)), .read(atMost: .max))
        expect(hold.look(queuedByteCount: 181, mark: mark, now: at(0)), .leaveUntil(at(100)))
    }

    @Test func `During a hold as many bytes are read as leave the queue`() {
        var hold = begun()
        expect(hold.queueMoved(by: 30), true)
        expect(hold.look(queuedByteCount: 121, mark: mark, now: at(1)), .read(atMost: 30))
        hold.bytesRead(20)
        expect(hold.look(queuedByteCount: 141, mark: mark, now: at(1)), .read(atMost: 10))
        hold.bytesRead(10)
        expect(hold.look(queuedByteCount: 151, mark: mark, now: at(1)), .leave)
    }

    @Test func `Without a hold a queue that moves changes nothing`() {
        var hold = OutputHold()
        expect(hold.queueMoved(by: 30), false)
        expect(hold.relieve(now: .distantFuture, freeByteCount: 100), false)
    }

    @Test func `A hold lets half of what is free through, after times that double up to a minute`() {
        var hold = begun()
        var now = 0
        var wait = 100
        var free = 1_024
        while wait < 60_000 {
            expect(hold.relieve(now: at(now + wait - 1), freeByteCount: free), false)
            now += wait
            expect(hold.relieve(now: at(now), freeByteCount: free), free > 1)
            if free > 1 {
                expect(hold.look(queuedByteCount: 151, mark: mark, now: at(now)), .read(atMost: free / 2))
                hold.bytesRead(free / 2)
            }
            free -= free / 2
            wait *= 2
        }
        #expect(free >= 1)
        for _ in 0..<3 {
            _ = hold.relieve(now: at(now + 60_000), freeByteCount: 0)
            now += 60_000
            #expect(hold.nextRelief == at(now + 60_000))
        }
    }
}
