"""Exceptions between processes: as data, and again as exceptions.

The caller gets the class, args, attributes, notes, cause, context and traceback of the remote
exception. Its `__init__` does not run again. A class that the caller cannot look up arrives as a
RemoteError, which is sent on as what it stands for: a process that has the class gets it.
"""

from __future__ import annotations

from fchains.errors import RemoteError
from fchains.wire.classes import ClassLookup
from fchains.wire.rebuilding import Rebuilder
from fchains.wire.recording import Original, Recorder, stub
from fchains.wire.records import ExceptionRecord, Failure

__all__ = ["ExceptionRecord", "Failure", "exception_of", "failure_of"]


def failure_of(error: BaseException, *, where: str = "", classes: ClassLookup | None = None) -> Failure:
    """The exception as data; never raises. Args that cannot travel become a text naming their class.

    Args:
        error: any exception; no frame and no local variable of it is kept.
        where: the hop that its traceback names, such as "chainlet transcribe, replica 0".
        classes: names the classes; by default as this process knows them.
    """
    lookup = classes or ClassLookup()
    try:
        return Recorder(lookup).run(error, where)
    except Exception:
        return Failure((stub(error, lookup),))


def exception_of(failure: Failure, lookup: ClassLookup, *, full: bool = False) -> BaseException:
    """The exception of a failure, a new one each time; never raises.

    Args:
        failure: from another process, or from this one.
        lookup: finds the classes; any other becomes a RemoteError.
        full: show fchains' own frames in the traceback too.
    """
    try:
        return Rebuilder(failure, lookup, full=full).run()
    except Exception:
        error = RemoteError(failure.message, failure.type_name)
        Original(failure, 0).attach(error)
        return error
