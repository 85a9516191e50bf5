"""System calls that fail, by strace's fault injection. Only what the kernel could answer there is injected:

- EAGAIN is the awkward one. An edge-triggered engine takes it as "the next edge will tell", which is right when the
  kernel says it and wrong when strace does: no edge is owed. So it is injected only into the first calls of the one
  worker, and clients send on, whether or not they were answered, until more calls than that have been made for each
  of them: every new segment brings an edge.
- An injected call is not made. For close(2), where Linux closes whatever it answers, that would leak a descriptor
  of ours that the real call does not: close is left alone.

strace counts `when` for each thread apart. The log says how often it did inject; never is a failed check.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from dataclasses import dataclass

import clients
import server
from clients import CUT, WHOLE
from checks import Check, Failure, Skipped, expect

CLIENTS = 24
POLL = "?epoll_wait,?epoll_pwait"
SEND = "sendto,sendmsg"
TRICKLE_CALLS = 60


@dataclass(frozen=True)
class Fault:
    call: str
    error: str
    #: Which calls of a thread fail: FIRST+STEP, or FIRST..LAST+STEP.
    when: str
    #: Whether a connection may be closed because of it.
    may_cut: bool = False
    #: Clients that send on without waiting, past the LAST call that fails.
    trickles: bool = False

    @property
    def name(self) -> str:
        return f"fault: {self.call.replace('?', '')} {self.error}"


FAULTS = [
    Fault("recvfrom", "EINTR", "2+3"),
    Fault(SEND, "EINTR", "1+3"),
    Fault(POLL, "EINTR", "3+2"),
    # The eventfd that wakes workers. Among the first few writes of a thread may be its standard output.
    Fault("write", "EINTR", "10+3"),
    Fault("accept4", "EINTR", "1+2"),
    Fault("recvfrom", "EAGAIN", f"2..{TRICKLE_CALLS}+2", trickles=True),
    Fault(SEND, "EAGAIN", f"2..{TRICKLE_CALLS}+2", trickles=True),
    # accept(2): errors of the connection, not of the listener.
    Fault("accept4", "ECONNABORTED", "1+2"),
    Fault("accept4", "EPERM", "1+2"),
    Fault("accept4", "EPROTO", "2+3"),
    Fault("accept4", "ENETDOWN", "2+3"),
    Fault("accept4", "ETIMEDOUT", "2+3"),
    # Exhaustion: what waits is turned away, later ones are served.
    Fault("accept4", "EMFILE", "3+5", may_cut=True),
    Fault("accept4", "ENFILE", "3+5", may_cut=True),
    Fault("accept4", "ENOBUFS", "3+5", may_cut=True),
    Fault("accept4", "ENOMEM", "1+4", may_cut=True),
    # The first two of a worker are its wake-up descriptor and the listener.
    Fault("epoll_ctl", "ENOSPC", "6+9", may_cut=True),
    Fault("epoll_ctl", "ENOMEM", "5+7", may_cut=True),
    Fault("recvfrom", "ECONNRESET", "9+40", may_cut=True),
    Fault("recvfrom", "ETIMEDOUT", "9+40", may_cut=True),
    Fault("recvfrom", "ENOMEM", "9+40", may_cut=True),
    Fault(SEND, "EPIPE", "9+40", may_cut=True),
    Fault(SEND, "ECONNRESET", "9+40", may_cut=True),
    Fault(SEND, "ENOBUFS", "9+40", may_cut=True),
]


def run(fault: Fault, path: str) -> str:
    if shutil.which("strace") is None:
        raise Failure("strace is missing; install it (Debian: apt-get install strace)")
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        log = os.path.join(directory, "strace")
        # -D: the server is our child, and strace its companion, so signals and statuses are the server's.
        strace = ["strace", "-D", "-f", "-qq", "-o", log, "-e", f"trace={fault.call}", "-e", "signal=none",
                  "-e", f"inject={fault.call}:error={fault.error}:when={fault.when}"]
        try:
            with server.running(path, workers=1 if fault.trickles else 2, through=strace) as running:
                outcomes = load(fault, running)
        except Failure as failure:
            if "PTRACE" in str(failure) or "ptrace" in str(failure):
                raise Skipped(f"strace may not trace here: {failure}") from failure
            raise
        injected = server.contents(log).count("(INJECTED)")
    expect(injected > 0, "strace injected nothing: this checked nothing")
    cut = outcomes.count(CUT)
    expect(fault.may_cut or cut == 0, f"{cut} of {len(outcomes)} connections were cut")
    expect(cut < len(outcomes), "every connection was cut")
    return f"{injected} injected; {outcomes.count(WHOLE)} connections whole, {cut} cut"


def load(fault: Fault, running: server.Server) -> list[str]:
    if fault.trickles:
        outcomes = clients.all_of(6, lambda seed: clients.trickle(running.port, seed, catches=TRICKLE_CALLS + 10))
    else:
        outcomes = clients.all_of(CLIENTS, lambda seed: clients.ask_and_wait(running.port, seed))
    running.expect_alive()
    clients.expect_served(running.port, attempts=10)
    expect(server.eventually(10, lambda: not has_connections(running)), "connections stay open after their clients")
    return outcomes


def has_connections(running: server.Server) -> bool:
    """Whether a socket of the server is a connection: its two listeners are all that it may keep."""
    links = [os.readlink(f"/proc/{running.process.pid}/fd/{number}")
             for number in os.listdir(f"/proc/{running.process.pid}/fd")]
    return sum(link.startswith("socket:") for link in links) > 2


CHECKS = [Check(fault.name, functools.partial(run, fault)) for fault in FAULTS]
