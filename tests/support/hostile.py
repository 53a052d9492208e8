"""Receivers that do harm, as real sockets on loopback."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self


class Hostile:
    """Listens on loopback; each connection is handed to ``treat`` with an event that says when to stop."""

    def __init__(self, treat: Callable[[socket.socket, threading.Event], None], *, accepts: bool = True) -> None:
        self.over = threading.Event()
        self.connections = 0
        self._treat = treat
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(8 if accepts else 0)
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._fillers: list[socket.socket] = []
        if accepts:
            threading.Thread(target=self._serve, daemon=True).start()
        else:
            self._fill()

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                continue
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._treat(connection, self.over)

    def _fill(self) -> None:
        """Fill the queue of connections, so that further ones wait for ever."""
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.over.set()
        self._listener.close()
        for filler in self._fillers:
            filler.close()


def drips(connection: socket.socket, over: threading.Event) -> None:
    """Send a header an octet at a time, for ever."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
    while not over.wait(0.02):
        connection.sendall(b"x")


def refuses_with_an_endless_body(connection: socket.socket, over: threading.Event) -> None:
    """Refuse, and say why without end."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"no such hook " * 5000)


def accepts_with_an_endless_body(connection: socket.socket, over: threading.Event) -> None:
    """Accept, and go on talking."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"thanks " * 5000)


def says_nothing(connection: socket.socket, over: threading.Event) -> None:
    """Take what comes and say nothing: a TLS handshake hangs here, too."""
    while not over.is_set() and connection.recv(65_536):
        pass
    over.wait(10)
