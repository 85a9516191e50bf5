/* Tests of tso.pml itself: three litmus tests whose answers for x86 are known.
   A model is worth what its memory is worth; scripts/check-models runs these first.

     default       store buffering with a fence between store and load: both threads reading 0 is impossible.
     NO_FENCE      the same without the fence: both reading 0 must be found.
     MESSAGE       data, then flag, both plain stores: who sees the flag sees the data (the queue is FIFO).
     FORWARD       a thread always reads its own last store, buffered or not. */

#define THREADS 2
#define CELLS 2
#define X 0
#define Y 1
#include "tso.pml"

byte seen[THREADS];

#if defined(MESSAGE)

proctype Thread(byte me) {
    byte flag, data;
    if
    :: me == 0 -> store(me, X, 1); store(me, Y, 1)
    :: else -> load(me, Y, flag); load(me, X, data); assert(!flag || data)
    fi
}

#elif defined(FORWARD)

proctype Thread(byte me) {
    byte mine = me, seenBack;
    store(me, mine, 1);
    load(me, mine, seenBack);
    assert(seenBack == 1);
    store(me, mine, 2);
    load(me, mine, seenBack);
    assert(seenBack == 2)
}

#else

proctype Thread(byte me) {
    byte mine = me, other = 1 - me;
    store(me, mine, 1);
#ifndef NO_FENCE
    fence(me);
#endif
    load(me, other, seen[me])
}

#endif

init {
    atomic { run Thread(0); run Thread(1); run Drain(0); run Drain(1) }
    timeout ->
#if !defined(MESSAGE) && !defined(FORWARD)
    assert(seen[0] || seen[1]);
#endif
    skip
}
