#include "arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

void arguments_read(int argc, char **argv, const char *usage, const struct argument *known,
                    size_t knownCount) {
    struct option options[argumentsMax + 2] = {{0}};
    for (size_t i = 0; i < knownCount; i++) options[i] = (struct option){known[i].name, 1, 0, 0};
    options[knownCount] = (struct option){"help", 0, 0, 'H'};
    for (int which, index = 0; (which = getopt_long(argc, argv, "", options, &index)) != -1;) {
        if (which == 'H') {
            fputs(usage, stdout);
            exit(0);
        }
        if (which != 0) refuse_with(usage); // getopt_long has said what it does not know
        const struct argument *found = &known[index];
        if (found->seconds != NULL)
            *found->seconds = seconds_from(found->name, optarg);
        else
            *found->count = (uint32_t)count_from(found->name, optarg, found->least, found->most);
    }
    if (optind != argc) refuse_with(usage);
}

static _Noreturn void refuse_value(const char *name, const char *value) {
    const char *program = program_invocation_short_name;
    fprintf(stderr, "%s: --%s does not take \"%s\"; see --help\n", program, name, value);
    exit(2);
}

uint64_t count_from(const char *name, const char *text, uint64_t least, uint64_t most) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most)
        refuse_value(name, text);
    return value;
}

double seconds_from(const char *name, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= 86400)) refuse_value(name, text);
    return value;
}

_Noreturn void refuse_with(const char *usage) {
    fputs(usage, stderr);
    exit(2);
}
