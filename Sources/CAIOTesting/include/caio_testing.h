// A look at what the Swift runtime enqueues on its global executor, for simulations: a task of theirs that arrives there
// has left the simulation. Called by Sources/AIOTesting and by nothing else.

#pragma once

// `observer` is called with `context` whenever the calling thread enqueues a job on the global executor; NULL ends that.
// The runtime's hook, which is the process's, is put in place with the first observer and stays; one that was there
// before is still called.
void caio_observe_global_enqueues(void (*observer)(void *context), void *context);
