"""From what a command raised to what is printed, and to its exit code."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import ParamSpec

import typer

from fchains.cli.exits import CallFailed, Exit, OutputGone, UsageError
from fchains.cli.tracebacks import format_error, is_raised_by_user, place_of
from fchains.config import Settings
from fchains.definition.problems import Problem
from fchains.definition.references import UnknownReference
from fchains.errors import DefinitionError, FchainsError, HTTPError, RemoteError, SetupError

P = ParamSpec("P")

_USERS = (HTTPError, RemoteError)


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """End a command with the exit code of what it raised, and print that to standard error."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except (OutputGone, BrokenPipeError):
            raise typer.Exit(forget_stdout()) from None
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None
        except Exception as error:
            if is_framework(error):
                raise
            raise typer.Exit(report(error)) from None

    return run


def is_framework(error: Exception) -> bool:
    """Whether typer itself raised it, and knows what to do with it."""
    return type(error).__module__.partition(".")[0] in ("typer", "click")


def report(error: Exception) -> Exit:
    """Print what is to be said about an exception; the exit code for it."""
    match error:
        case UsageError():
            tell(f"error: {error}")
            return Exit.USAGE
        case UnknownReference():
            tell(f"error: {error}")
            return Exit.USAGE
        case DefinitionError():
            tell_problems(error)
            return Exit.DEFINITION
        case CallFailed():
            return _report_call(error.error)
        case FchainsError():
            tell(_machinery(error))
            return Exit.MACHINERY
        case _:
            tell(f"{format_error(error, full=True)}error: this is a mistake in fchains itself")
            return Exit.MACHINERY


def tell(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr, flush=True)


def tell_problems(error: DefinitionError) -> None:
    """Print all that is wrong with the definitions."""
    if error.problems:
        tell("\n".join(map(str, error.problems)))
        tell(counted(len(error.problems), "problem"))
    else:
        tell(f"error: {error}")


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise if there are any.

    Raises:
        DefinitionError: there are.
    """
    if problems:
        raise DefinitionError(problems=sorted(problems, key=lambda problem: (problem.file, problem.line)))


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def forget_stdout() -> Exit:
    """Let nothing fail any more because nobody reads; the exit code for that."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # standard output is no descriptor
        pass
    return Exit.UNREAD


def _report_call(error: BaseException) -> Exit:
    if isinstance(error, DefinitionError):
        tell_problems(error)
        return Exit.DEFINITION
    if isinstance(error, FchainsError) and not isinstance(error, _USERS) and not is_raised_by_user(error):
        tell(_machinery(error))
        return Exit.MACHINERY
    tell(format_error(error, full=_full()).rstrip())
    return Exit.USER


def _machinery(error: BaseException) -> str:
    """An error of fchains' own, after the traceback of the setup that caused it."""
    if _full():
        return format_error(error, full=True).rstrip()
    text = f"error: {type(error).__name__}: {error}"
    if (place := place_of(error)) and place.partition(",")[0] not in text:
        text += f"\n  at {place}"
    if isinstance(error, SetupError) and error.__cause__ is not None:
        return f"{format_error(error.__cause__).rstrip()}\n\n{text}"
    return text


def _full() -> bool:
    return Settings.from_env(os.environ).traceback_full
