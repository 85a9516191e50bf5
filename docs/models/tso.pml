/* Store buffers: the part of an x86-like memory that spin does not have by itself.
   Included by every model here; each defines THREADS and CELLS first. Who uses it: parking.pml,
   credit.pml, and litmus.pml, which tests this file. Where it goes next: nowhere, it is the bottom.

   Theory of operation

   Spin is sequentially consistent: in plain Promela a store is seen by everybody in the step that makes it.
   A processor is not. It puts the store into a buffer of its own and goes on; the store reaches memory later.
   Meanwhile the same processor may load some *other* cell and get a value that is, for everybody else, older
   than the store. Two threads that each store one cell and then load the other's can therefore both read the
   old value. Parking and credit both rest on that never happening, and plain Promela could not tell a model
   with the fence from a model without it.

   So each thread here has a bounded queue of stores that are not yet in memory:

     store            appends to the own queue; blocks while the queue is full. Plain, relaxed and release
                      stores are all this: on such a machine a release is free, since the queue is FIFO.
     load             looks in the own queue first, newest entry first, then in memory ("store forwarding").
                      Plain, relaxed, acquire and seq_cst loads are all this.
     exchange,        the read-modify-writes: act on memory, in one step, and only when the own queue is
     compareExchange, empty. That is what a locked instruction does. A seq_cst store is compiled to an
     fetchAdd ...     exchange, so it is written as one here.
     fence            waits until the own queue is empty.
     Drain(me)        one process a thread. It moves the oldest entry of the queue to memory, at any time it
                      likes: spin tries every such time. Nothing else empties a queue, so "drains first" is
                      "waits until empty"; Drain can always run, and the two are the same.

   A blocking system call is *not* taken to be a fence, which gives the models more behaviours than the
   machine has, never fewer.

   What this cannot show: loads that overtake loads, and stores that overtake stores (arm64, or a compiler).
   The models say with EARLY_LOAD what happens where that matters, and README.md gives the C++ memory-model
   orderings, which cover it.

   Every operation is a d_step: one step of the search, no interleaving within. Freed entries are zeroed, so
   that two states that differ only in rubbish are one state. */

#ifndef DEPTH
#define DEPTH 2
#endif

typedef StoreBuffer {
    byte count;           /* entries in use; entry 0 is the oldest */
    byte address[DEPTH];
    byte value[DEPTH]
}

StoreBuffer buffer[THREADS];   /* buffer[t]: appended by thread t, emptied by Drain(t) */
byte memory[CELLS];            /* what everybody sees */

hidden byte scan;              /* scratch within one d_step; not part of the state */

#define drained(me)  (buffer[me].count == 0)

inline store(me, cell, new) {
    d_step {
        buffer[me].count < DEPTH ->
        buffer[me].address[buffer[me].count] = cell;
        buffer[me].value[buffer[me].count] = new;
        buffer[me].count++
    }
}

inline load(me, cell, into) {
    d_step {
        into = memory[cell];
        scan = 0;
        do
        :: scan < buffer[me].count ->
            if
            :: buffer[me].address[scan] == cell -> into = buffer[me].value[scan]
            :: else
            fi;
            scan++
        :: else -> break
        od
    }
}

inline exchange(me, cell, new, old) {
    d_step { drained(me) -> old = memory[cell]; memory[cell] = new }
}

inline compareExchange(me, cell, expected, new, won) {
    d_step {
        drained(me) ->
        if
        :: memory[cell] == expected -> memory[cell] = new; won = true
        :: else -> won = false
        fi
    }
}

inline fetchAdd(me, cell, amount, after) {
    d_step { drained(me) -> memory[cell] = memory[cell] + amount; after = memory[cell] }
}

inline fetchSub(me, cell, amount, after) {
    d_step {
        drained(me) ->
        assert(memory[cell] >= amount);   /* a counter that wraps is an error in every model */
        memory[cell] = memory[cell] - amount;
        after = memory[cell]
    }
}

inline fence(me) { drained(me) }

proctype Drain(byte me) {
end_empty:
    do
    :: d_step {
        buffer[me].count > 0 ->
        memory[buffer[me].address[0]] = buffer[me].value[0];
        buffer[me].count--;
        scan = 0;
        do
        :: scan < buffer[me].count ->
            buffer[me].address[scan] = buffer[me].address[scan + 1];
            buffer[me].value[scan] = buffer[me].value[scan + 1];
            scan++
        :: else -> break
        od;
        buffer[me].address[scan] = 0;
        buffer[me].value[scan] = 0
       }
    od
}
