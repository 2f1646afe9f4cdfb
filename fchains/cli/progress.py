"""How far a map or a stream has come, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from fchains.cli.reporting import counted, tell


@contextmanager
def progress(noun: str, *, quiet: bool) -> Generator[Callable[[], None], None, None]:
    """Show how many items came; the value of the block is called for each.

    A terminal gets a line that moves, unless the items themselves go there; everything else gets
    one line at the end.

    Args:
        noun: what is counted.
        quiet: show nothing.
    """
    if quiet:
        yield lambda: None
    elif sys.stderr.isatty() and not sys.stdout.isatty():
        with _moving(noun) as advance:
            yield advance
    else:
        with _plain(noun) as advance:
            yield advance


@contextmanager
def _plain(noun: str) -> Generator[Callable[[], None], None, None]:
    began, count = time.monotonic(), 0

    def advance() -> None:
        nonlocal count
        count += 1

    try:
        yield advance
    finally:
        tell(f"{counted(count, noun)} in {time.monotonic() - began:.1f} s")


@contextmanager
def _moving(noun: str) -> Generator[Callable[[], None], None, None]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.completed:.0f} " + noun + "s"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(noun, total=None)
        yield lambda: shown.advance(task)
