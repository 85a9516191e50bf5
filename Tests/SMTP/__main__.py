"""scripts/check-smtp: smtp-sink and clients that are not of this project. Each check is a function; here is the
list. The command line is in ../Checks.

sink.py starts the server and reads what it has stored; wire.py is a client of plain sockets; the other files hold the
checks: swaks, Python's smtplib, what neither would send, and the program itself.
"""

from __future__ import annotations

import sys

import checks
import program
import with_smtplib
import with_sockets
import with_swaks

CHECKS = [*with_swaks.CHECKS, *with_smtplib.CHECKS, *with_sockets.CHECKS, *program.CHECKS]

if __name__ == "__main__":
    sys.exit(checks.main("check-smtp", "Sends mail to smtp-sink and compares what is stored with what was sent.", CHECKS))
