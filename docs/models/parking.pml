/* The completion list and parking: several producers push, one consumer takes everything, and sleeps when
   nothing is there. In: pushes by workers (or submitters). Out: each node processed once, and a consumer
   that never sleeps on a list that is not empty. Orderings and the argument in prose: README.md.

   Theory of operation

   The list is one head: push is a compare-exchange, take-all an exchange. Which nodes are pending is all that
   matters here, so the head is a bit mask; the retry loop of a compare-exchange and the links are left out.
   A push learns whether the list was empty before it. Only the pusher that found it empty may wake: whoever
   pushed onto a list that was not empty has, below it, a node whose pusher is responsible.

   The parked flag couples consumer and pusher:

     RUNNING    set by the consumer. It will look at the list again before it sleeps.
     ANNOUNCED  set by the consumer: "I am about to sleep". It must look at the list once more *after* this
                store is visible. The pusher does the mirror image: push, then look at the flag. One of the
                two sees the other; that is the whole algorithm, and what the fence is for.
     NOTIFIED   set by the one pusher that turned ANNOUNCED into it; that pusher, and no other, then wakes.

   Two kinds of consumer:

     default    a task. Waking is the resume of a continuation, which must happen exactly once a sleep; the
                consumer stores the continuation in SLOT before it announces. If the re-check finds something
                but the flag is already NOTIFIED, the resume is on its way and must be waited for.
     WORKER     a worker in epoll_wait. Waking is a write to an eventfd; sleep also ends for other events
                (sockets, timers), and a failed re-check waits for nothing. A write may thus arrive in a
                later sleep, which costs one lap and loses nothing. The eventfd is level-triggered.

   Negative variants, each of which must be found faulty:

     NO_FENCE     the announcement is a plain store
     NO_RECHECK   no second look at the list
     EARLY_LOAD   the pusher's look at the flag has moved above its push (what a processor weaker than x86
                  may do when that load is not seq_cst)
     NO_WAIT      a task does not wait for the resume that is on its way
     LATE_READ    a worker empties its eventfd between announcing and sleeping
     NO_CLAIM     the pusher wakes without winning the compare-exchange
     WAKE_IS_WORK the belief that who was woken finds something: false, a late pusher wakes for a node
                  that was already taken */

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef PUSHES
#define PUSHES 2
#endif
#define NODES (PRODUCERS * PUSHES)

#define THREADS (PRODUCERS + 1)
#define CONSUMER PRODUCERS        /* producers are threads 0 ..< PRODUCERS */

#define HEAD 0                    /* bit mask of pending nodes */
#define PARKED 1
#define SLOT 2                    /* the stored continuation: 1 when there is one */
#define PAYLOAD 3                 /* one cell a node: 1 once its content is written */
#define CELLS (PAYLOAD + NODES)

#define RUNNING 0
#define ANNOUNCED 1
#define NOTIFIED 2

#include "tso.pml"

byte wakes;       /* the wake primitive: resumes delivered and not yet taken, or the eventfd's count */
byte processed;   /* for the properties only: bit mask of nodes that the consumer has processed */
bool lostWakeUp;  /* likewise: asleep for good, and the list is not empty */

#ifdef WORKER
#ifndef OTHER_EVENTS
#define OTHER_EVENTS 2
#endif
byte otherEvents = OTHER_EVENTS;   /* how often sleep may still end for a reason that is not a wake */
#define WAKES_MAX NODES   /* a failed re-check reads nothing, so writes add up: at most one a push */
#else
#define WAKES_MAX 1       /* one resume a sleep */
#endif

inline push(me, node, wasEmpty) {
    d_step {
        drained(me) ->
        wasEmpty = (memory[HEAD] == 0);
        memory[HEAD] = memory[HEAD] | (1 << (node))
    }
}

inline wake() {
    d_step { wakes++; assert(wakes <= WAKES_MAX) }
}

/* Each node once, and with its content: the buffered store of the payload came before the push. */
inline process(batch) {
    d_step {
        assert((processed & batch) == 0);
        processed = processed | batch;
        scan = 0;
        do
        :: scan < NODES ->
            assert(!(batch & (1 << scan)) || memory[PAYLOAD + scan]);
            scan++
        :: else -> break
        od
    }
}

proctype Producer(byte me) {
    byte pushed, parked, slot;
    bool wasEmpty, won;

    do
    :: pushed < PUSHES ->
        store(me, PAYLOAD + me * PUSHES + pushed, 1);
#ifdef EARLY_LOAD
        load(me, PARKED, parked);
#endif
        push(me, me * PUSHES + pushed, wasEmpty);
        if
        :: wasEmpty ->
#ifndef EARLY_LOAD
            load(me, PARKED, parked);
#endif
            if
            :: parked == ANNOUNCED ->
#ifdef NO_CLAIM
                won = true;
#else
                compareExchange(me, PARKED, ANNOUNCED, NOTIFIED, won);
#endif
                if
                :: won ->
#ifndef WORKER
                    load(me, SLOT, slot);
                    assert(slot == 1);
#endif
                    wake()
                :: else
                fi
            :: else
            fi
        :: else
        fi;
        d_step { pushed++; parked = 0; slot = 0; wasEmpty = false; won = false }
    :: else -> break
    od
}

proctype Consumer() {
    byte batch, head, was;
    bool won, woken;

    do
    ::
        exchange(CONSUMER, HEAD, 0, batch);
#ifdef WAKE_IS_WORK
        assert(!woken || batch);
        woken = false;
#endif
        if
        :: batch ->
            process(batch);
            batch = 0
        :: else ->
#ifndef WORKER
            store(CONSUMER, SLOT, 1);
#endif
#ifdef NO_FENCE
            store(CONSUMER, PARKED, ANNOUNCED);
#else
            exchange(CONSUMER, PARKED, ANNOUNCED, was);
            was = 0;
#endif
#ifndef NO_RECHECK
            load(CONSUMER, HEAD, head);
#endif
            if
            :: head ->
                head = 0;
#ifdef WORKER
                store(CONSUMER, PARKED, RUNNING)
#else
                compareExchange(CONSUMER, PARKED, ANNOUNCED, RUNNING, won);
                if
                :: won ->
                    won = false
                :: else ->
#ifndef NO_WAIT
                    d_step { wakes > 0 -> wakes-- };    /* not a place to stay: no end label */
#endif
                    store(CONSUMER, PARKED, RUNNING)
                fi;
                store(CONSUMER, SLOT, 0)
#endif
            :: else ->
#ifdef WORKER
#ifdef LATE_READ
                wakes = 0;
#endif
end_asleep:     if
                :: wakes > 0 ->
                    if
                    :: wakes = 0; store(CONSUMER, PARKED, RUNNING)   /* reading an eventfd takes it all, */
                    :: store(CONSUMER, PARKED, RUNNING); wakes = 0   /* before or after, at any distance */
                    fi
                :: d_step { otherEvents > 0 -> otherEvents-- };
                    store(CONSUMER, PARKED, RUNNING)
                fi
#else
end_asleep:     d_step { wakes > 0 -> wakes-- };
#ifdef WAKE_IS_WORK
                woken = true;
#endif
                store(CONSUMER, PARKED, RUNNING);
                store(CONSUMER, SLOT, 0)
#endif
            fi
        fi
    od
}

/* `timeout` holds when no other step is possible: the producers are done and the consumer sleeps for good. */
init {
    byte t;
    atomic {
        do
        :: t < PRODUCERS -> run Producer(t); run Drain(t); t++
        :: else -> break
        od;
        run Consumer();
        run Drain(CONSUMER);
        t = 0
    }
    timeout ->
    lostWakeUp = (memory[HEAD] != 0);
    assert(!lostWakeUp);
    assert(processed == (1 << NODES) - 1);
    assert(wakes == 0)
}
