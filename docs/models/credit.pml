/* Receive-window credit that is returned off the worker. In: chunks that the worker reads from a socket.
   Out: the same chunks, taken by consumers on other threads, never more than WINDOW outstanding, and a worker
   that never stays paused once they are taken. Orderings and the argument in prose: README.md.

   Theory of operation

   `held` counts what is delivered and not yet taken. The worker adds before it delivers, consumers subtract
   after they take. At WINDOW the worker pauses; at MARK or below whoever finds it paused lets it go on, by a
   resume message on the worker's submission list. That list wakes a parked worker reliably (parking.pml), so
   the message is a counter here.

   It is parking again: the worker stores `paused` and looks at `held`; a consumer subtracts from `held` and
   looks at `paused`. One of the two must see the other. Whoever turns `paused` from 1 to 0 owns what follows:
   the worker goes on by itself, a consumer sends exactly one message.

   What a resume message means: "look again", not "there is room". The result of a subtraction is old by the
   time its consumer looks at the flag: in between the worker may have read on, filled the window and paused,
   and the consumer then ends a pause that has nothing to do with its own subtraction. So the worker looks at
   `held` before every read, also after a resume. RESUME_IS_ROOM is the version that does not; it reads past
   the window, even with one consumer.

   A read is one or two units, clamped to the room that is left; a take is one unit, or all there are.

     EDGE             a cheaper rule for consumers: only who crosses MARK by its subtraction looks at the flag
     WORKER_MARK      what the worker's second look compares with, if not MARK

   Negative variants, each of which must be found faulty:

     NO_FENCE         pausing is a plain store
     NO_RECHECK       the worker does not look at `held` again after pausing
     EARLY_LOAD       a consumer's look at the flag has moved above its subtraction
     RESUME_IS_ROOM   see above
     NO_CLAIM         a consumer sends without winning the compare-exchange
     DELIVER_FIRST    the worker delivers before it adds
     EDGE with WORKER_MARK below MARK: the crossing may lie before the second look, and nobody crosses again
     MARK = WINDOW    the worker pauses and resumes itself for ever, while nobody takes anything (a cycle) */

#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef WINDOW
#define WINDOW 2
#endif
#ifndef MARK
#define MARK (WINDOW / 2)
#endif
#ifndef WORKER_MARK
#define WORKER_MARK MARK          /* what the worker's own second look compares with */
#endif
#ifndef UNITS
#define UNITS 6
#endif

#define THREADS (CONSUMERS + 1)
#define THE_WORKER 0              /* consumers are threads 1 ... CONSUMERS */

#define HELD 0
#define PAUSED 1
#define CELLS 2

#include "tso.pml"

byte delivered;   /* the completion list: units that nobody has taken yet */
byte resumes;     /* resume messages that the worker has not taken yet */

byte consumed;    /* for the properties only, as is what follows */
bool answered;    /* a resume message was sent in this pause */
bool workerDone;
bool stalled;     /* the worker is paused for good, and everything it delivered was taken */

inline pause() {
    answered = false;
#ifdef NO_FENCE
    store(THE_WORKER, PAUSED, 1);
#else
    exchange(THE_WORKER, PAUSED, 1, was);
    assert(was == 0);
#endif
#ifndef NO_RECHECK
    load(THE_WORKER, HELD, held);
#endif
    if
    :: held <= WORKER_MARK -> compareExchange(THE_WORKER, PAUSED, 1, 0, won)
    :: else
    fi;
    if
    :: won -> won = false
    :: else -> d_step { resumes > 0 -> resumes-- }
    fi
}

inline deliver() {
    d_step { drained(THE_WORKER) -> delivered = delivered + size }
}

proctype Worker() {
    byte read, held, size, was;
    bool won;

    do
    ::
        load(THE_WORKER, HELD, held);
#ifdef RESUME_IS_ROOM
        if
        :: held >= WINDOW -> pause(); held = WINDOW - 1
        :: else
        fi;
#else
        do
        :: held >= WINDOW -> pause(); load(THE_WORKER, HELD, held)
        :: else -> break
        od;
#endif
        if
        :: read == UNITS -> break                              /* end of stream: read it too, then stop */
        :: read < UNITS -> size = 1
        :: read + 1 < UNITS && held + 1 < WINDOW -> size = 2
        fi;
        read = read + size;
#ifdef DELIVER_FIRST
        deliver();
        fetchAdd(THE_WORKER, HELD, size, held);
#else
        fetchAdd(THE_WORKER, HELD, size, held);
        assert(held <= WINDOW);
        deliver();
#endif
        d_step { held = 0; size = 0; was = 0 }
    od;
    held = 0;
    workerDone = true
}

proctype Consumer(byte me) {
    byte taken, left, paused;
    bool won;

end_idle:
    do
    :: atomic {
        delivered > 0 && drained(me) ->
        if
        :: taken = 1
        :: delivered > 1 -> taken = delivered
        fi;
        delivered = delivered - taken
       };
#ifdef EARLY_LOAD
        load(me, PAUSED, paused);
#endif
        fetchSub(me, HELD, taken, left);
        consumed = consumed + taken;
        if
#ifdef EDGE
        :: left <= MARK && left + taken > MARK ->
#else
        :: left <= MARK ->
#endif
#ifndef EARLY_LOAD
            load(me, PAUSED, paused);
#endif
            if
            :: paused ->
#ifdef NO_CLAIM
                store(me, PAUSED, 0);
                won = true;
#else
                compareExchange(me, PAUSED, 1, 0, won);
#endif
                if
                :: won ->
                    d_step {
                        assert(!answered && resumes == 0);   /* at most one message a pause */
                        answered = true;
                        resumes++
                    }
                :: else
                fi
            :: else
            fi
        :: else
        fi;
        d_step { taken = 0; left = 0; paused = 0; won = false }
    od
}

/* `timeout` holds when no other step is possible. */
init {
    byte t = 1;
    atomic {
        run Worker();
        run Drain(THE_WORKER);
        do
        :: t <= CONSUMERS -> run Consumer(t); run Drain(t); t++
        :: else -> break
        od;
        t = 0
    }
    timeout ->
    stalled = !workerDone;
    assert(!stalled);
    assert(consumed == UNITS && memory[HELD] == 0);
    assert(memory[PAUSED] == 0 && resumes == 0)
}
