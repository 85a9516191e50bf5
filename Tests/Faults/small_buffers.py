"""Short writes and full sockets, for real: a network namespace whose TCP buffers hold 4 KiB, clients that read late,
and large echoes of which every byte is compared."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import clients
import server
from checks import Check, Failure, Skipped, expect

BUFFER_BYTES = 4096
CLIENTS = 4
CLIENT_BYTES = 1 << 20
SECONDS_MAX = 180


def in_namespace(path: str) -> str:
    """Runs this file again, in a network namespace of its own."""
    if shutil.which("unshare") is None:
        raise Failure("unshare is missing; install it (Debian: apt-get install util-linux)")
    unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        raise Skipped("no network namespace may be made here; needs root or unprivileged user namespaces")
    ended = subprocess.run([*unshare, sys.executable, "-B", __file__, path], capture_output=True, text=True,
                           timeout=SECONDS_MAX, check=False)
    text = ended.stdout.strip() or ended.stderr.strip()[-300:]
    if ended.returncode == 3:
        raise Skipped(text)
    expect(ended.returncode == 0, text)
    return text


def bring_loopback_up() -> None:
    """netdevice(7): SIOCGIFFLAGS and SIOCSIFFLAGS with IFF_UP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, 0x8913, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", request)[1]
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


def shrink_buffers() -> None:
    for name in ("tcp_rmem", "tcp_wmem"):
        try:
            with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as setting:
                setting.write(f"{BUFFER_BYTES} {BUFFER_BYTES} {BUFFER_BYTES}")
        except OSError as reason:
            raise Skipped(f"net.ipv4.{name} cannot be set in the namespace: {reason}") from reason


def large_echoes(path: str) -> str:
    bring_loopback_up()
    shrink_buffers()
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        log = os.path.join(directory, "strace")
        strace = ["strace", "-D", "-f", "-qq", "-o", log, "-e", "trace=sendto,sendmsg", "-e", "signal=none", "-s", "0"]
        with server.running(path, workers=2, through=strace) as running:
            outcomes = clients.all_of(
                CLIENTS, lambda seed: clients.stream(running.port, seed, CLIENT_BYTES, reads_late=seed % 2 == 1))
            running.expect_alive()
            clients.expect_served(running.port)
        text = server.contents(log)
    blocked = text.count(" EAGAIN ")
    # sendto(7, ""..., OFFERED, FLAGS, NULL, 0) = TAKEN
    answers = re.findall(r'""\.\.\., (\d+), .*\) = (\d+)$', text, re.M)
    short = sum(int(taken) < int(offered) for offered, taken in answers)
    expect(outcomes.count(clients.CUT) == 0, f"{outcomes.count(clients.CUT)} of {CLIENTS} connections were cut")
    expect(short > 0, "no write was short: this checked nothing")
    return f"{CLIENTS} x {CLIENT_BYTES >> 10} KiB right; {short} short writes, {blocked} EAGAIN"


CHECKS = [Check("buffers: 4 KiB of TCP memory, large echoes", in_namespace)]


if __name__ == "__main__":
    try:
        print(large_echoes(sys.argv[1]))
    except Skipped as reason:
        print(reason)
        sys.exit(3)
    except (Failure, OSError) as failure:
        print(failure)
        sys.exit(1)
