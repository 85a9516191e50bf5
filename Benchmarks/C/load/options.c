#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "arguments.h"

static const char usage[] =
    "usage: load --port N [options]\n"
    "\n"
    "Loads a TCP echo server in a closed loop: every connection sends a message, waits for all of its echo,\n"
    "compares each byte with what it sent, and sends the next. Ends non-zero on any error or mismatch.\n"
    "\n"
    "  --host A               the server's IPv4 address (127.0.0.1)\n"
    "  --port N               the server's port\n"
    "  --connections C        how many connections (64)\n"
    "  --message-bytes M      bytes in a message (64)\n"
    "  --pipeline P           messages in flight on a connection (1)\n"
    "  --warmup W             seconds before measuring starts (1)\n"
    "  --seconds S            seconds measured (5)\n"
    "  --messages N           measure N messages at most, if they come before the seconds end\n"
    "  --churn                a connection for each message: half-close when its echo is back, wait for the\n"
    "                         server to close, connect again\n"
    "  --lines                messages are lines: LF at the end of each, and nowhere else\n"
    "  --refusal TEXT         with --churn: not an echo but TEXT and LF is expected, and that the server closes\n"
    "  --pid PID              read the server's CPU time and memory from /proc\n"
    "  --allocation-counts F  read the server's heap calls from F, which libcount-allocations.so keeps\n"
    "  --idle N               instead: open N connections, one message on each, hold them for --seconds,\n"
    "                         one more message on each, end; reports the server's memory a connection\n"
    "  --hold                 stay connected afterwards, until SIGINT or SIGTERM\n"
    "  --json                 one line of JSON on stdout, the line for people on stderr\n";

struct options options_from(int argc, char **argv) {
    static const struct option known[] = {
        {"host", 1, 0, 'a'},
        {"port", 1, 0, 'p'},
        {"connections", 1, 0, 'c'},
        {"message-bytes", 1, 0, 'm'},
        {"pipeline", 1, 0, 'd'},
        {"warmup", 1, 0, 'w'},
        {"seconds", 1, 0, 's'},
        {"messages", 1, 0, 'n'},
        {"pid", 1, 0, 'P'},
        {"allocation-counts", 1, 0, 'A'},
        {"idle", 1, 0, 'i'},
        {"churn", 0, 0, 'C'},
        {"lines", 0, 0, 'l'},
        {"refusal", 1, 0, 'r'},
        {"hold", 0, 0, 'h'},
        {"json", 0, 0, 'j'},
        {"help", 0, 0, 'H'},
        {0, 0, 0, 0},
    };
    struct options options = {
        .host = "127.0.0.1", .connectionCount = 64, .messageBytes = 64, .pipelineDepth = 1,
        .seconds = 5, .warmupSeconds = 1,
    };
    int which, index = 0;
    while ((which = getopt_long(argc, argv, "", known, &index)) != -1) {
        const char *name = which == '?' ? "" : known[index].name;
        switch (which) {
        case 'a': options.host = optarg; break;
        case 'p': options.port = (uint16_t)count_from(name, optarg, 1, UINT16_MAX); break;
        case 'c': options.connectionCount = (uint32_t)count_from(name, optarg, 1, 1000000); break;
        case 'm': options.messageBytes = (uint32_t)count_from(name, optarg, 1, 1 << 30); break;
        case 'd': options.pipelineDepth = (uint32_t)count_from(name, optarg, 1, 65536); break;
        case 'w': options.warmupSeconds = seconds_from(name, optarg); break;
        case 's': options.seconds = seconds_from(name, optarg); break;
        case 'n': options.messagesMax = count_from(name, optarg, 1, UINT64_MAX); break;
        case 'P': options.serverProcess = (int)count_from(name, optarg, 1, INT32_MAX); break;
        case 'A': options.allocationCounts = optarg; break;
        case 'C': options.churns = true; break;
        case 'l': options.lines = true; break;
        case 'r': options.refusal = optarg; break;
        case 'h': options.hold = true; break;
        case 'j': options.json = true; break;
        case 'i':
            options.idle = true;
            options.connectionCount = (uint32_t)count_from(name, optarg, 2, 1000000);
            break;
        case 'H': fputs(usage, stdout); exit(0);
        default: exit(2); // getopt_long has said what it does not know
        }
    }
    bool contradicts = (options.churns && (options.idle || options.pipelineDepth > 1)) ||
                       (options.refusal != NULL && !options.churns);
    if (options.port == 0 || optind != argc || contradicts) refuse_with(usage);
    return options;
}
