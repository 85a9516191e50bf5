"""A client of plain sockets, for what no mail library would send."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

from checks import Failure, expect

PATIENCE_SECONDS = 10
ENVELOPE = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"


class Wire:
    """One connection: bytes out, replies in."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _line(self) -> bytes:
        while b"\r\n" not in self.unread:
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                raise Failure(f"no reply within {PATIENCE_SECONDS} s") from None
            if not piece:
                raise Failure(f"the server hung up behind {self.unread!r}")
            self.unread += piece
        line, _, self.unread = self.unread.partition(b"\r\n")
        return line

    def reply(self) -> int:
        """The code of the next reply, all lines of it read."""
        while True:
            line = self._line()
            expect(line[:3].isdigit() and line[3:4] in (b" ", b"-"), f"{line!r} is no reply")
            if line[3:4] == b" ":
                return int(line[:3])

    def expect(self, *codes: int) -> None:
        for index, code in enumerate(codes):
            got = self.reply()
            expect(got == code, f"reply {index + 1} is {got} instead of {code}, expected were {codes}")

    def expect_end(self) -> None:
        try:
            rest = self.unread + self.socket.recv(100)
        except ConnectionResetError:
            return
        except TimeoutError:
            raise Failure("the server does not hang up") from None
        expect(rest == b"", f"{rest!r} comes instead of the end")

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@contextlib.contextmanager
def connected(port: int, greets: bool = True) -> Iterator[Wire]:
    """A connection; unless told otherwise, one that has been greeted and has said EHLO."""
    wire = Wire(port)
    try:
        wire.expect(220)
        if greets:
            wire.send(b"EHLO client.test\r\n")
            wire.expect(250)
        yield wire
    finally:
        wire.socket.close()
