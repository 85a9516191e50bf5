"""Clients that know what must come back. A connection ends *whole* (every byte came back right, then the end) or
*cut* (right bytes, and then an end or a reset too early). Wrong bytes and silence are failures always."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from checks import Failure

SILENCE_SECONDS_MAX = 15
WHOLE, CUT = "whole", "cut"


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=SILENCE_SECONDS_MAX)


def reset(client: socket.socket) -> None:
    """Closes so that the peer sees a reset (socket(7), SO_LINGER)."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def outcome_of(body: Callable[[], str]) -> str:
    try:
        return body()
    except (ConnectionResetError, BrokenPipeError, ConnectionAbortedError):
        return CUT
    except TimeoutError as silence:
        raise Failure(f"a client heard nothing for {SILENCE_SECONDS_MAX} s") from silence


def read_back(client: socket.socket, wanted: bytes, what: str) -> bool:
    """Reads what must come; False if the end came first."""
    got = 0
    while got < len(wanted):
        part = client.recv(min(65536, len(wanted) - got))
        if not part:
            return False
        if part != wanted[got:got + len(part)]:
            raise Failure(f"{what}: wrong bytes between {got} and {got + len(part)}")
        got += len(part)
    return True


def finish(client: socket.socket, what: str) -> str:
    """Ends this side; then the server's end must come, and nothing before it."""
    client.shutdown(socket.SHUT_WR)
    if client.recv(1):
        raise Failure(f"{what}: more came back than was sent")
    return WHOLE


def ask_and_wait(port: int, seed: int, messages: int = 20) -> str:
    """Sends a message, waits until it is back, sends the next."""
    def body() -> str:
        pick = random.Random(seed)
        with connected(port) as client:
            for number in range(messages):
                message = pick.randbytes(pick.choice([1, 64, 1000, 20_000]))
                client.sendall(message)
                if not read_back(client, message, f"client {seed}, message {number}"):
                    return CUT
            return finish(client, f"client {seed}")
    return outcome_of(body)


def trickle(port: int, seed: int, catches: int) -> str:
    """Sends pieces whether or not the ones before have come back, until `catches` times all of them had: at least so
    many calls of recv and send the server has made for this connection by then. Each piece is a new edge."""
    def body() -> str:
        pick = random.Random(seed)
        missing, caught, sent = b"", 0, 0
        deadline = time.monotonic() + SILENCE_SECONDS_MAX
        with connected(port) as client:
            while caught < catches:
                if time.monotonic() > deadline:
                    raise TimeoutError
                piece = pick.randbytes(pick.randrange(1, 500))
                client.sendall(piece)
                missing += piece
                sent += len(piece)
                while missing and select.select([client], [], [], 0.02)[0]:
                    part = client.recv(65536)
                    if not part:
                        return CUT
                    if not missing.startswith(part):
                        raise Failure(f"client {seed}: wrong bytes, {sent - len(missing)} bytes from the start")
                    missing = missing[len(part):]
                    deadline = time.monotonic() + SILENCE_SECONDS_MAX
                caught += not missing
            return finish(client, f"client {seed}")
    return outcome_of(body)


def stream(port: int, seed: int, byte_count: int, reads_late: bool = False) -> str:
    """Sends without waiting for answers, on a thread of its own; reads at the same time, or only when the sender has
    got stuck or is done."""
    def body() -> str:
        sent = random.Random(seed).randbytes(byte_count)
        with connected(port) as client:
            sender = threading.Thread(target=send_all, args=(client, sent), daemon=True)
            sender.start()
            if reads_late:
                sender.join(1)
            whole = read_back(client, sent, f"client {seed}")
            sender.join(SILENCE_SECONDS_MAX)
            return finish(client, f"client {seed}") if whole else CUT
    return outcome_of(body)


def send_all(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # The reader sees the same, and says so.
        client.sendall(data)


def all_of(count: int, client: Callable[[int], str]) -> list[str]:
    """Many clients at once, each with a seed of its own; how each ended."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(client, range(count)))


def expect_served(port: int, attempts: int = 1) -> None:
    """A new client is served; with several attempts, one of them."""
    for attempt in range(attempts):
        if ask_and_wait(port, 1_000_000 + attempt, messages=2) == WHOLE:
            return
    raise Failure(f"no new client was served, of {attempts}")
