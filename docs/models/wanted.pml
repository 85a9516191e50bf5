/* A read that wants more than the window has, or more than what is left of it. In: units that the worker reads
   from a socket. Out: the reader gets as many as it wants, though the worker pauses at the window. The other
   half of credit.pml, whose rules for a consumer that only takes stay as they are.

   Theory of operation

   The reader says how much it wants, then looks whether the worker has paused; the worker says that it pauses,
   then looks at what is wanted. One of the two must see the other. Whoever turns `paused` from 1 to 0 owns what
   follows: the worker goes on by itself, the reader sends one resume message.

   The reader first takes TAKEN units out of a full window, and less than what would let the worker go on by
   itself, so that a pause may lie before its wish, behind it, or in between.

     MARK             what is held at which a consumer that only takes ends a pause

   Negative variants:

     NO_FENCE         the wish is a plain store
     NO_RECHECK       the worker does not look at the wish after pausing
     EARLY_LOAD       the reader's look at the flag has moved above its wish
     OLD_RULE         the wish is told only if it is more than the window: what was wrong once */

#ifndef WINDOW
#define WINDOW 4
#endif
#ifndef WANT
#define WANT 4
#endif
#ifndef MARK
#define MARK 2
#endif
#ifndef TAKEN
#define TAKEN 1
#endif

#define THREADS 2
#define THE_WORKER 0
#define THE_READER 1

#define HELD 0
#define PAUSED 1
#define WANTED 2
#define CELLS 3

#include "tso.pml"

byte resumes;     /* resume messages that the worker has not taken yet */
bool readerDone;
bool stalled;     /* for the property: nobody can go on, and the reader has not got what it wants */

inline wholeWindow(into) {
    load(THE_WORKER, WANTED, into);
    d_step {
        if
        :: into < WINDOW -> into = WINDOW
        :: else
        fi
    }
}

proctype Worker() {
    byte held, window, wanted, was;
    bool won;

end_idle:
    do
    ::
        load(THE_WORKER, HELD, held);
        wholeWindow(window);
        if
        :: held < window -> fetchAdd(THE_WORKER, HELD, 1, held)
        :: else ->
            exchange(THE_WORKER, PAUSED, 1, was);
#ifndef NO_RECHECK
            load(THE_WORKER, WANTED, wanted);
#endif
            load(THE_WORKER, HELD, held);
            if
            :: held <= MARK || held < wanted -> compareExchange(THE_WORKER, PAUSED, 1, 0, won)
            :: else
            fi;
            if
            :: won -> won = false
            :: else ->
end_paused:
                d_step { resumes > 0 -> resumes-- }
            fi
        fi;
        d_step { held = 0; window = 0; wanted = 0; was = 0 }
    od
}

proctype Reader() {
    byte held, left, paused, old;
    bool won;

    /* Takes a part of what has come, when the window has been filled once. */
    d_step { memory[HELD] >= WINDOW && drained(THE_READER) -> skip };
    fetchSub(THE_READER, HELD, TAKEN, left);
    if
    :: left <= MARK ->
        load(THE_READER, PAUSED, paused);
        if
        :: paused ->
            compareExchange(THE_READER, PAUSED, 1, 0, won);
            if
            :: won -> resumes++; won = false
            :: else
            fi
        :: else
        fi
    :: else
    fi;

#ifdef EARLY_LOAD
    load(THE_READER, PAUSED, paused);
#endif
#ifdef OLD_RULE
    /* The window is as large as the wish, so nothing is said and nothing looked at. */
    assert(WANT <= WINDOW);
#else
#ifdef NO_FENCE
    store(THE_READER, WANTED, WANT);
#else
    exchange(THE_READER, WANTED, WANT, old);
#endif
#endif
#ifndef EARLY_LOAD
#ifndef OLD_RULE
    load(THE_READER, PAUSED, paused);
#endif
#endif
    if
    :: paused ->
        compareExchange(THE_READER, PAUSED, 1, 0, won);
        if
        :: won -> resumes++
        :: else
        fi
    :: else
    fi;

    /* The worker resumes it under the connection's lock: no race here. */
end_waiting:
    d_step { memory[HELD] >= WANT -> readerDone = true }
}

/* `timeout` holds when no other step is possible. */
init {
    atomic {
        run Worker();
        run Reader();
        run Drain(THE_WORKER);
        run Drain(THE_READER)
    }
    timeout ->
    stalled = !readerDone;
    assert(!stalled)
}
