"""A full descriptor table, for real: 64 descriptors and 200 clients. Nobody is left in silence, the processor is not
burnt, the operator is told once, and afterwards all is as before."""

from __future__ import annotations

import select
import socket
import time

import clients
import server
from checks import Check, Failure, expect

DESCRIPTORS_MAX = 64
CLIENTS = 200


def full_table(path: str, workers: int) -> str:
    with server.running(path, workers, descriptors_max=DESCRIPTORS_MAX) as running:
        clients.expect_served(running.port)
        idle = running.descriptor_count
        held, turned_away = ask_all(running.port)
        running.expect_alive()
        expect(len(held) >= DESCRIPTORS_MAX - idle - 2, f"only {len(held)} clients served, {idle} descriptors idle")
        expect(turned_away > 0, "the table never filled: this checked nothing")

        begin = running.cpu_seconds
        time.sleep(1)
        burnt = running.cpu_seconds - begin
        expect(burnt < 0.2, f"{burnt:.2f} s of processor time in a second with nothing to do")

        for client in held:
            client.close()
        expect(server.eventually(5, lambda: running.descriptor_count <= idle), "descriptors of gone clients stay open")
        expect(server.eventually(5, lambda: is_served(running.port)), "no new client is served afterwards")
        said = [line for line in running.stderr.splitlines() if "descriptor" in line]
        expect(len(said) == 1, f"{len(said)} lines about descriptors; expected one: {said[:3]}")
        return f"{len(held)} served, {turned_away} turned away, {burnt:.2f} s burnt"


def ask_all(port: int) -> tuple[list[socket.socket], int]:
    """Connects all clients, sends a byte each, and waits until each has its echo, an end or a reset."""
    waiting: dict[int, socket.socket] = {}
    turned_away = 0
    for _ in range(CLIENTS):
        client = clients.connected(port)
        waiting[client.fileno()] = client
        try:
            client.send(b"?")
        except OSError:
            pass  # Turned away already; reading says so.
    poller = select.poll()
    for number in waiting:
        poller.register(number, select.POLLIN)
    served: list[socket.socket] = []
    while waiting:
        ready = poller.poll(clients.SILENCE_SECONDS_MAX * 1000)
        if not ready:
            raise Failure(f"{len(waiting)} of {CLIENTS} clients were left in silence")
        for number, _ in ready:
            poller.unregister(number)
            client = waiting.pop(number)
            if answer(client) == b"?":
                served.append(client)
            else:
                turned_away += 1
                client.close()
    return served, turned_away


def answer(client: socket.socket) -> bytes:
    try:
        return client.recv(2)
    except ConnectionError:
        return b""


def is_served(port: int) -> bool:
    return clients.ask_and_wait(port, 7, messages=2) == clients.WHOLE


CHECKS = [
    Check("descriptors: 64, and 200 clients of one worker", lambda path: full_table(path, 1)),
    Check("descriptors: 64, and 200 clients of three workers", lambda path: full_table(path, 3)),
]
