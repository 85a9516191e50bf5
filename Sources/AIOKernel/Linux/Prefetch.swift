// A hint to the processor: what a worker will touch in a moment.

import CAIOLinux

/// Asks for the memory at `address` to be brought near. Any address will do: no fault comes of it.
package func prefetch(_ address: UInt, byteCount: Int) { caio_prefetch(address, byteCount) }
