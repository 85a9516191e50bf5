"""Peers that misbehave or die: resets while the server writes (which must never be a SIGPIPE), processes that are
killed, floods that are read late, clients that send everything and end their side at once."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys

import clients
import server
from clients import WHOLE
from checks import Check, expect

# Floods the port and never reads; says so once it is stuck.
FLOODER = """
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.settimeout(0.3)
try:
    while True: client.send(b"x" * 65536)
except TimeoutError:
    print("stuck", flush=True)
    sys.stdin.read()
"""


def checked(path: str, body) -> str:
    """Runs a body against a server, which must be as it was before."""
    with server.running(path, workers=2) as running:
        clients.expect_served(running.port)
        idle = running.descriptor_count
        said = body(running.port)
        running.expect_alive()
        clients.expect_served(running.port)
        expect(server.eventually(10, lambda: running.descriptor_count <= idle),
               f"{running.descriptor_count} descriptors open, {idle} before")
        return said


def resets(port: int) -> str:
    """The peer takes nothing, so the server has its queue full of writes when the reset comes."""
    stuck = 0
    for _ in range(40):
        client = clients.connected(port)
        client.settimeout(0.05)
        with contextlib.suppress(ConnectionError):
            try:
                while True:
                    client.send(b"x" * 65536)
            except TimeoutError:
                stuck += 1
        clients.reset(client)
    expect(stuck > 0, "no client ever got stuck: this checked nothing")
    return f"40 resets, {stuck} of them with the server's writes stuck"


def killed(port: int) -> str:
    processes = [subprocess.Popen([sys.executable, "-c", FLOODER, str(port)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE) for _ in range(6)]
    try:
        for process in processes:
            expect(process.stdout.readline() == b"stuck\n", "a flooding client ended by itself")
        for process in processes:
            process.send_signal(signal.SIGKILL)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return f"{len(processes)} processes killed while their connections were full"


def late_readers(port: int) -> str:
    outcomes = clients.all_of(4, lambda seed: clients.stream(port, seed, 16 << 20, reads_late=True))
    expect(outcomes.count(WHOLE) == len(outcomes), f"cut: {outcomes.count(clients.CUT)} of {len(outcomes)}")
    return f"{len(outcomes)} x 16 MiB right"


def early_ends(port: int) -> str:
    """Everything sent and this side ended before anything is read: all of it still comes back."""
    def client_of(seed: int) -> str:
        def body() -> str:
            sent = bytes([seed]) * 50_000
            with clients.connected(port) as client:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                whole = clients.read_back(client, sent, f"client {seed}")
                return WHOLE if whole and client.recv(1) == b"" else clients.CUT
        return clients.outcome_of(body)

    outcomes = clients.all_of(50, client_of)
    expect(outcomes.count(WHOLE) == len(outcomes), f"cut: {outcomes.count(clients.CUT)} of {len(outcomes)}")
    return f"{len(outcomes)} x 50 kB right, then the end"


CHECKS = [
    Check("peers: reset while the server writes", lambda path: checked(path, resets)),
    Check("peers: killed while the server writes", lambda path: checked(path, killed)),
    Check("peers: flood first, read later", lambda path: checked(path, late_readers)),
    Check("peers: end their side before they read", lambda path: checked(path, early_ends)),
]
