// The account of one slab, as the pool and `delivered()` move it.

import AIOBytes
import Testing

@Suite struct SlabAccountTests {
    @Test func `Undelivered bytes are those received less those delivered, in whatever slices`() {
        let pool = SlabPool()
        let bytes = pool.receive(pattern(100))
        #expect(pool.holdings() == (65_536, 100))
        bytes[10..<30].delivered()
        #expect(pool.holdings() == (65_536, 80))
        bytes[..<10].delivered()
        bytes[30...].delivered()
        #expect(pool.holdings() == (0, 0))
    }

    @Test func `Delivering bytes with storage of their own changes nothing`() {
        Bytes().delivered()
        Bytes("literal").delivered()
        pattern(10).delivered()
    }

    @Test func `A new account is at zero`() {
        let account = SlabAccount(capacity: 4_096)
        #expect(account.capacity == 4_096)
        #expect(account.undeliveredByteCount == 0)
    }
}
