#include "histogram.h"

static uint64_t highest_of(uint32_t bucket) {
    if (bucket < 2 * histogramSteps) return bucket;
    uint32_t shift = bucket / histogramSteps - 1;
    uint64_t top = bucket % histogramSteps + histogramSteps;
    return (top << shift) + ((UINT64_C(1) << shift) - 1);
}

uint64_t histogram_quantile(const struct histogram *histogram, double share) {
    uint64_t needed = (uint64_t)(share * (double)histogram->count);
    if ((double)needed < share * (double)histogram->count) needed += 1;
    if (needed == 0) needed = 1;
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < histogramBuckets; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen < needed) continue;
        uint64_t value = highest_of(bucket);
        return value < histogram->max ? value : histogram->max;
    }
    return histogram->max;
}
