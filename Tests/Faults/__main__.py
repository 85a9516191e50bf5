"""scripts/check-faults: event-echo in a hostile world. Each check is a function; here is the list. The command line is in
../Checks.

server.py starts the server and looks into /proc; clients.py verifies every byte; the other files hold the checks:
what it says when it cannot start, a full descriptor table, failing system calls (strace), small socket buffers (a
network namespace), peers that die, and whether it is afterwards as it was before.
"""

from __future__ import annotations

import resource
import sys

import checks
import exhaustion
import injection
import leaks
import peers
import small_buffers
import starting

CHECKS = [*starting.CHECKS, *exhaustion.CHECKS, *injection.CHECKS, *small_buffers.CHECKS, *peers.CHECKS,
          *leaks.CHECKS]


def limit_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096, hard))


if __name__ == "__main__":
    sys.exit(checks.main(
        "check-faults", "Runs event-echo under faults that happen rarely and checks what its clients see.", CHECKS,
        prepare=limit_descriptors))
