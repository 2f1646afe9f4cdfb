"""The floor: 64 bytes there and back over blocking Unix sockets, through one process or several in a row.

Run as a program it is one of these processes. It imports next to nothing, so that it is up at once.
"""

import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

MESSAGE = bytes(64)


@contextmanager
def raw_hops(hops: int) -> Generator[Callable[[], None]]:
    """Gives what sends one message through so many processes and waits for the answer."""
    first, *ends = (sock for _ in range(hops) for sock in socket.socketpair())

    def ping() -> None:
        first.sendall(MESSAGE)
        first.recv(len(MESSAGE))

    processes = [start(ends[2 * hop : 2 * hop + 2]) for hop in range(hops)]
    for sock in ends:
        sock.close()
    try:
        yield ping
    finally:
        first.close()  # each process ends when the one before it has ended
        for process in processes:
            process.wait()


def start(ends: list[socket.socket]) -> subprocess.Popen[bytes]:
    numbers = [end.fileno() for end in ends]
    return subprocess.Popen([sys.executable, "-I", __file__, *map(str, numbers)], pass_fds=numbers)


def relay(before: socket.socket, after: socket.socket | None = None) -> None:
    while message := before.recv(len(MESSAGE)):
        if after is not None:
            after.sendall(message)
            after.recv(len(MESSAGE))
        before.sendall(message)


if __name__ == "__main__":
    relay(*(socket.socket(fileno=int(number)) for number in sys.argv[1:]))
