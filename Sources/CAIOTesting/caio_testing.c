#include "caio_testing.h"

#include <pthread.h>
#include <stddef.h>

#define SWIFT_CALL __attribute__((swiftcall))

typedef SWIFT_CALL void (*enqueue_original)(void *job);
typedef SWIFT_CALL void (*enqueue_hook)(void *job, enqueue_original original);

// Of libswift_Concurrency.
extern enqueue_hook swift_task_enqueueGlobal_hook;

static enqueue_hook former;
static _Thread_local void (*observed_by)(void *context);
static _Thread_local void *observer_context;

static SWIFT_CALL void observe(void *job, enqueue_original original) {
    if (observed_by != NULL) observed_by(observer_context);
    if (former != NULL)
        former(job, original);
    else
        original(job);
}

static void install(void) {
    former = swift_task_enqueueGlobal_hook;
    swift_task_enqueueGlobal_hook = observe;
}

void caio_observe_global_enqueues(void (*observer)(void *context), void *context) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    observer_context = context;
    observed_by = observer;
}
