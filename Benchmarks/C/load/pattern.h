// The bytes of every message, computed from who sends it and where it stands, so that nothing has to be kept
// to compare an echo with: another connection's, message's or place's bytes are other bytes.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Odd, with bits all over: no two words of a message are the same.
static const uint64_t patternStep = 0x9E3779B97F4A7C15;

static inline uint64_t pattern_start(uint32_t connection, uint64_t message) {
    uint64_t x = ((uint64_t)connection << 40) ^ message;
    x = (x ^ (x >> 31)) * 0xD6E8FEB86659FD93;
    x = (x ^ (x >> 29)) * patternStep;
    return x ^ (x >> 32);
}

// `count` bytes of one message, from `offset` on. Words are little-endian wherever this runs against itself.
static inline void pattern_fill_message(uint8_t *out, uint64_t start, size_t offset, size_t count) {
    uint64_t word = start + patternStep * (offset / 8);
    size_t skipped = offset % 8;
    if (skipped != 0) {
        size_t part = 8 - skipped < count ? 8 - skipped : count;
        memcpy(out, (const uint8_t *)&word + skipped, part);
        out += part;
        count -= part;
        word += patternStep;
    }
    for (; count >= 8; count -= 8, out += 8, word += patternStep) memcpy(out, &word, 8);
    memcpy(out, &word, count);
}

// Makes lines of messages: LF at the end of each, and nowhere else. CR, which is thrown away before LF, nowhere.
static inline void pattern_make_lines(uint8_t *out, uint64_t position, size_t count, uint32_t messageBytes) {
    for (size_t i = 0; i < count; i++)
        if (out[i] == '\n' || out[i] == '\r') out[i] = '.';
    for (size_t i = messageBytes - 1 - (size_t)(position % messageBytes); i < count; i += messageBytes)
        out[i] = '\n';
}

// `count` bytes of all that a connection ever sends, message after message, from `position` on.
static inline void pattern_fill(uint8_t *out, uint32_t connection, uint64_t position, size_t count,
                                uint32_t messageBytes) {
    uint64_t message = position / messageBytes;
    size_t offset = (size_t)(position % messageBytes);
    while (count > 0) {
        size_t part = messageBytes - offset < count ? messageBytes - offset : count;
        pattern_fill_message(out, pattern_start(connection, message), offset, part);
        out += part;
        count -= part;
        message += 1;
        offset = 0;
    }
}
