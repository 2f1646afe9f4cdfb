"""Starts calls and streams: binds and encodes the arguments, then hands over to a dispatch."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

from fchains.calls.call import Call
from fchains.calls.cell import Cell
from fchains.calls.context import ACTIVE, ActiveCall
from fchains.calls.current import current_session
from fchains.calls.dispatch import Dispatch, Plan
from fchains.calls.opening import ResultOpener
from fchains.calls.portal import portal
from fchains.calls.runner import Capability
from fchains.calls.settings import UNSET, CallSettings
from fchains.calls.sources import StreamBuffer
from fchains.calls.stream import Stream
from fchains.calls.trace import Trace
from fchains.calls.uploads import Upload
from fchains.definition.spec import Definition
from fchains.errors import NotSupported

MAX_DEPTH = 100


class _Ids:
    """Identifiers that no other call has, in this process or another; a forked child starts anew."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._process = os.urandom(5).hex()
        self._numbers = itertools.count(1)

    def next(self) -> str:
        return f"{self._process}-{next(self._numbers):x}"


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.renew)


def start_call(
    definition: Definition,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    settings: CallSettings,
    *,
    on_overload: Callable[[], None] | None = None,
) -> Call[Any]:
    """Start a call of a function; it is under way when this returns.

    Raises:
        TypeError: the arguments do not fit the signature.
        SerializationError: an argument cannot travel.
        DefinitionError: the chain is declared wrongly.
        NotDeployed: the running chain does not contain the chainlet.
        RecursionError: the calls are nested too deeply.
    """
    cell = Cell()
    opener = ResultOpener(definition)
    plan, uploads = _plan(definition, args, kwargs, settings, on_overload)
    active = ACTIVE.get()
    dispatch = Dispatch(
        plan,
        current_session().route(definition),
        portal(),
        cell,
        opener,
        uploads=uploads,
        on_settled=_adopt(active),
    )
    _begin(dispatch, active)
    return Call(plan.id, definition.name, cell, opener, dispatch)


def start_stream(
    definition: Definition,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    settings: CallSettings,
) -> Stream[Any]:
    """Start a call of a generator; raises as `start_call` does.

    Raises:
        NotSupported: the runner has no streams.
    """
    if Capability.STREAMS not in current_session().capabilities:
        raise NotSupported(f"{definition.name} is a generator, and this runner has no streams: return a list")
    opener = ResultOpener(definition)
    buffer: StreamBuffer[Any] = StreamBuffer(opener, definition.name)
    plan, uploads = _plan(definition, args, kwargs, settings, None)
    active = ACTIVE.get()
    session = current_session()
    dispatch = Dispatch(
        plan,
        session.route(definition),
        portal(),
        buffer,
        opener,
        items=buffer,
        uploads=uploads,
        on_settled=_adopt(active),
    )
    buffer.feeder = dispatch
    session.opened(buffer)
    _begin(dispatch, active)
    return Stream(buffer, definition.name)


def _begin(dispatch: Dispatch, active: ActiveCall | None) -> None:
    if active is not None:
        active.children.add(dispatch)
    portal().post(dispatch.start)


def _adopt(active: ActiveCall | None) -> Callable[[Dispatch], None] | None:
    return None if active is None else active.children.discard


def _plan(
    definition: Definition,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    settings: CallSettings,
    on_overload: Callable[[], None] | None,
) -> tuple[Plan, dict[str, Upload]]:
    bound = definition.signature.bind(args, kwargs)
    types = definition.types
    uploads = {
        name: Upload(name, bound.pop(name), codec, portal())
        for name, codec in types.uploads.items()
        if name in bound
    }
    active = ACTIVE.get()
    options = definition.options
    plan = Plan(
        id=_ids.next(),
        chain_id=active.info.chain_id if active else _ids.next(),
        chainlet=definition.name,
        arguments=types.arguments.encode(bound).detached(),  # the caller may change its arrays after this
        retry=options.retry if settings.retry is UNSET else settings.retry,
        timeout=options.timeout if settings.timeout is UNSET else settings.timeout,
        startup_timeout=options.startup_timeout,
        deadline=active.info.deadline if active else None,
        trace=active.info.trace.child() if active else Trace.start(),
        path=_path(definition.name, active),
        headers=active.info.headers if active else {},
        key=settings.key,
        on_overload=on_overload,
    )
    return plan, uploads


def _path(name: str, active: ActiveCall | None) -> tuple[str, ...]:
    path = (*active.path, name) if active else (name,)
    if len(path) > MAX_DEPTH:
        cycle = " → ".join(_cycle(path))
        raise RecursionError(f"calls are nested more than {MAX_DEPTH} deep: {cycle} → …")
    return path


def _cycle(path: tuple[str, ...]) -> tuple[str, ...]:
    last = path[-1]
    for length in range(1, len(path)):
        if path[-1 - length] == last:
            return (*path[-1 - length :],)
    return path[-5:]
