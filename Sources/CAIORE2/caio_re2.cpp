// The calls of caio_re2.h, each a few of RE2's. No exception leaves: where C++ would throw, which is for want of memory
// alone, compiling returns NULL and matching ends the process.

#include "caio_re2.h"

#if !__has_include(<re2/re2.h>)
#error "AIORegularExpressions needs RE2: install libre2-dev (Debian), or depend on the other products alone"
#endif
#include <re2/re2.h>

#include <algorithm>
#include <cstdlib>
#include <string>

struct caio_re2 {
    RE2 expression;
    RE2::Anchor anchor;
};

static RE2::Anchor re2_anchor(int anchoring) {
    switch (anchoring) {
    case CAIO_RE2_WHOLE: return RE2::ANCHOR_BOTH;
    case CAIO_RE2_START: return RE2::ANCHOR_START;
    default: return RE2::UNANCHORED;
    }
}

caio_re2 *caio_re2_compile(
    const char *pattern, size_t pattern_byte_count, int64_t memory_byte_count_max, int anchoring, bool ignores_case,
    bool is_utf8, bool dot_matches_newlines) {
    try {
        RE2::Options options;
        options.set_max_mem(memory_byte_count_max);
        options.set_case_sensitive(!ignores_case);
        options.set_encoding(is_utf8 ? RE2::Options::EncodingUTF8 : RE2::Options::EncodingLatin1);
        options.set_dot_nl(dot_matches_newlines);
        options.set_never_capture(true);
        options.set_log_errors(false);
        return new caio_re2{
            RE2(re2::StringPiece(pattern, pattern_byte_count), options), re2_anchor(anchoring)};
    } catch (...) {
        return nullptr;
    }
}

void caio_re2_free(caio_re2 *expression) { delete expression; }

int caio_re2_outcome(const caio_re2 *expression) {
    switch (expression->expression.error_code()) {
    case RE2::NoError: return CAIO_RE2_COMPILED;
    case RE2::ErrorPatternTooLarge:
    case RE2::ErrorRepeatSize: return CAIO_RE2_TOO_LARGE;
    default: return CAIO_RE2_MALFORMED;
    }
}

static const char *text(const std::string &string, size_t *byte_count) {
    *byte_count = string.size();
    return string.data();
}

const char *caio_re2_error(const caio_re2 *expression, size_t *byte_count) {
    return text(expression->expression.error(), byte_count);
}

const char *caio_re2_error_fragment(const caio_re2 *expression, size_t *byte_count) {
    return text(expression->expression.error_arg(), byte_count);
}

int caio_re2_program_size(const caio_re2 *expression) {
    try {
        int backward = expression->expression.ReverseProgramSize();
        return backward < 0 ? -1 : std::max(backward, expression->expression.ProgramSize());
    } catch (...) {
        return -1;
    }
}

bool caio_re2_matches(const caio_re2 *expression, const void *bytes, size_t byte_count) {
    // An empty frame may have no address; RE2 compares addresses.
    re2::StringPiece text(bytes ? static_cast<const char *>(bytes) : "", byte_count);
    try {
        return expression->expression.Match(text, 0, byte_count, expression->anchor, nullptr, 0);
    } catch (...) {
        std::abort();
    }
}
