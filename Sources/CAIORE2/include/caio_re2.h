// RE2 for C: an expression is compiled, matched by any number of threads at once, and freed. Plain C, so that Swift needs no
// C++ interoperability. Called by Sources/AIORegularExpressions and by nothing else.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct caio_re2 caio_re2;

// Where in the bytes an expression has to match.
enum {
    CAIO_RE2_WHOLE = 0,
    CAIO_RE2_START = 1,
    CAIO_RE2_ANYWHERE = 2,
};

// What became of a pattern.
enum {
    CAIO_RE2_COMPILED = 0,
    CAIO_RE2_MALFORMED = 1,
    CAIO_RE2_TOO_LARGE = 2,
};

// Compiles `pattern`; nothing of it is kept. `memory_byte_count_max` bounds programs and caches (RE2's max_mem). Pattern and
// bytes are UTF-8 if `is_utf8`, else Latin-1: a character a byte. NULL if there is no memory; else look at
// `caio_re2_outcome`, and free the result in any case.
caio_re2 *caio_re2_compile(
    const char *pattern, size_t pattern_byte_count, int64_t memory_byte_count_max, int anchoring, bool ignores_case,
    bool is_utf8, bool dot_matches_newlines);

void caio_re2_free(caio_re2 *expression);

int caio_re2_outcome(const caio_re2 *expression);

// RE2's words about a pattern that was not compiled, and the part of the pattern that they are about, which may be empty.
// Valid until the expression is freed; never NULL.
const char *caio_re2_error(const caio_re2 *expression, size_t *byte_count);
const char *caio_re2_error_fragment(const caio_re2 *expression, size_t *byte_count);

// Instructions of the larger one of the expression's two programs, of which one goes backward; -1 if the latter does not fit
// in the memory, or nothing was compiled.
int caio_re2_program_size(const caio_re2 *expression);

// Whether a compiled expression matches `bytes`. Any thread. Ends the process if memory runs out, as Swift does: any answer
// could be the wrong one.
bool caio_re2_matches(const caio_re2 *expression, const void *bytes, size_t byte_count);

#ifdef __cplusplus
}
#endif
