"""The template: imports the chain's modules once, and forks the workers.

It has one thread and no event loop, so that its children are as good as fresh processes.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import importlib
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fchains.calls.runner import Chain
from fchains.wire.failures import failure_of
from fchains_local.control import failure_text
from fchains_local.imports import watched
from fchains_local.newborn import WORKER, die_with, leave, live, reset_signals
from fchains_local.shipment import receive
from fchains_local.templatewire import (
    Exited,
    Fork,
    Forked,
    Loaded,
    Message,
    NotLoaded,
    Refused,
    Unsafe,
    encode,
)
from fchains_local.templatewire import receive as receive_message

_HELD = {signal.SIGTERM, signal.SIGCHLD}


class Template:
    """Forks on request, and tells how its children end.

    Args:
        sock: the connection to the supervisor.
        chain: gives each child the chain, or nothing to those that load one themselves.
    """

    def __init__(self, sock: socket.socket, chain: Callable[[], Chain | None]) -> None:
        self._sock = sock
        self._chain = chain
        self._children: set[int] = set()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for sign in _HELD:
            signal.signal(sign, _note)

    def serve(self) -> NoReturn:
        """Serve until the supervisor is gone, or wants no more; then nothing of this is left."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        with contextlib.suppress(ConnectionError):
            while True:
                ready = {file for file, _ in poll.poll()}
                if self._woken in ready and signal.SIGTERM in _drained(self._woken):
                    break
                self._bury()
                if self._sock.fileno() in ready:
                    received = receive_message(self._sock)
                    if received is None:
                        break
                    self._answer(*received)
        self._end_all()

    def _answer(self, message: Message, files: Sequence[int]) -> None:
        try:
            if isinstance(message, Fork):
                self._fork(message, files)
        finally:
            for file in files:
                os.close(file)

    def _fork(self, message: Fork, files: Sequence[int]) -> None:
        template = os.getpid()
        # Until the child has handlers of its own, a signal to it would reach the template's pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            if len(files) < message.files:  # the system drops what there is no room for
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = _forked()
            if pid == 0:
                self._be_born(template, message.request, files)
        except OSError as error:
            self._tell(Refused(message.number, error.errno or 0, os.strerror(error.errno or 0)))
        else:
            self._children.add(pid)
            self._tell(Forked(message.number, pid))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)

    def _be_born(self, template: int, request: dict[str, Any], files: Sequence[int]) -> NoReturn:
        try:
            os.setsid()
            reset_signals()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
            die_with(template)
            self._sock.close()
            os.close(self._woken)
            os.close(self._wake)
            live(self._chain, request, files)
        finally:
            leave(1)

    def _bury(self) -> None:
        for child in list(self._children):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                self._children.discard(pid)
                self._tell(Exited(pid, status))

    def _end_all(self) -> NoReturn:
        for child in self._children:
            for kill in (os.killpg, os.kill):  # it may not have a group of its own yet
                with contextlib.suppress(ProcessLookupError):
                    kill(child, signal.SIGKILL)
        leave(0)

    def _tell(self, message: Message) -> None:
        self._sock.sendall(encode(message))


def _forked() -> int:
    with warnings.catch_warnings():  # about threads, which are OpenBLAS's own here
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _note(_sign: int, _frame: object) -> None:
    """The wakeup pipe tells the loop."""


def _drained(file: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(file, 4096)
    return b""


def _loaded(shipment: Path) -> tuple[Chain, str]:
    """The chain, with all that its workers will need, and why this process must not be forked."""
    with watched() as watch:
        chain = receive(shipment)
        for definition in chain.definitions.values():
            with contextlib.suppress(Exception):  # said where the chain is called
                _ = definition.types
    return chain, watch.unsafe()


def _source(sock: socket.socket, shipment: Path, *, bare: bool) -> Callable[[], Chain]:
    """Where children get the chain from; ends the process where there is none for them."""
    with contextlib.suppress(Exception):  # it fails again in the worker, which says so
        importlib.import_module(WORKER.partition(":")[0]).warm_up()
    if bare:
        return functools.partial(receive, shipment)
    try:
        chain, unsafe = _loaded(shipment)
    except Exception as error:
        sock.sendall(encode(NotLoaded(failure_text(failure_of(error)))))
        leave(1)
    if unsafe:
        sock.sendall(encode(Unsafe(unsafe)))
        leave(0)
    return lambda: chain


def main(arguments: Sequence[str]) -> None:
    """The program.

    Args:
        arguments: process id of the supervisor, descriptor of the connection to it, path of the
            shipment; and "bare" where the children are to load that, each for itself.
    """
    parent, file, shipment, *bare = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(int(parent))
    os.set_inheritable(int(file), False)
    with contextlib.suppress(ConnectionError):  # nobody wants it any more
        _serve(int(parent), socket.socket(fileno=int(file)), Path(shipment), bare=bool(bare))


def _serve(parent: int, sock: socket.socket, shipment: Path, *, bare: bool) -> None:
    template = Template(sock, _source(sock, shipment, bare=bare))
    die_with(parent, signal.SIGTERM)  # which ends what the workers have started, too
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # else every child would print the rest
    gc.collect()
    gc.freeze()
    sock.sendall(encode(Loaded()))
    template.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
