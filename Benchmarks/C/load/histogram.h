// Durations, counted in buckets whose width grows with the value: exact below 128 ns, within 1.6 % above.
#pragma once
#include <stdint.h>

enum {
    histogramSteps = 64,                               // buckets in each power of two
    histogramBuckets = (64 - 6 + 1) * histogramSteps,  // any 64-bit value has one
};

struct histogram {
    uint64_t count, max;
    uint64_t buckets[histogramBuckets];
};

// Up to 127 a bucket is a value. Above, the highest seven bits choose it: their place says which power of
// two, the six after the first which step of it.
static inline uint32_t histogram_bucket(uint64_t value) {
    if (value < 2 * histogramSteps) return (uint32_t)value;
    uint32_t shift = 57 - (uint32_t)__builtin_clzll(value);
    return shift * histogramSteps + (uint32_t)(value >> shift);
}

static inline void histogram_record(struct histogram *histogram, uint64_t value) {
    histogram->count += 1;
    if (value > histogram->max) histogram->max = value;
    histogram->buckets[histogram_bucket(value)] += 1;
}

// The least value that `share` (0…1) of all do not exceed, to the bucket's upper end; 0 for none.
uint64_t histogram_quantile(const struct histogram *histogram, double share);
