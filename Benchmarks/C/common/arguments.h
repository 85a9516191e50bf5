// Numbers on command lines.
#pragma once
#include <stddef.h>
#include <stdint.h>

// An option that takes a number, --name=N. Either `count` or `seconds` is not NULL, and gets it.
struct argument {
    const char *name;
    uint32_t *count; // a whole number
    uint32_t least, most;
    double *seconds; // 0 to 86,400, fractions too
};

enum { argumentsMax = 16 };

// Reads a command line of such options alone. Ends the program with `usage` for --help and for what is no
// option; with a line that names the option for a value that it does not take.
void arguments_read(int argc, char **argv, const char *usage, const struct argument *known,
                    size_t knownCount);

// The number in the value of option `name`; or they end the program as above.
uint64_t count_from(const char *name, const char *text, uint64_t least, uint64_t most);
double seconds_from(const char *name, const char *text);

// Ends the program: what was asked for makes no sense together, or something is missing.
_Noreturn void refuse_with(const char *usage);
