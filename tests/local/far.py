"""Loads a shipment in a process of its own, and runs one of its chainlets as a replica does."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from fchains.calls.runner import Chain
from fchains.calls.session import graph_around
from fchains.definition.handle import AnyChainlet
from fchains.wire.classes import ClassLookup
from fchains.wire.failures import Failure, exception_of, failure_of
from fchains_local.shipment import load, pack

ROOT = Path(__file__).parents[2]


def chain_of(chainlet: AnyChainlet, **more: Any) -> Chain:
    """The chain that a call of a chainlet starts."""
    definition = chainlet.definition
    return Chain(definition.name, graph_around(definition).definitions, "1", **more)


def run_far(chainlet: AnyChainlet, *arguments: object) -> Any:
    """What a call in another process gives, or raises."""
    definition = chainlet.definition
    payload = definition.types.arguments.encode(definition.signature.bind(arguments, {}))
    shipment = pack(chain_of(chainlet))
    done = subprocess.run(
        [sys.executable, "-m", "tests.local.far"],
        cwd=ROOT,
        input=pickle.dumps((shipment, definition.name, payload)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    outcome = pickle.loads(done.stdout)
    if isinstance(outcome, Failure):
        raise exception_of(outcome, ClassLookup())
    return definition.types.result.decode(outcome)


def main() -> None:
    shipment, name, payload = pickle.loads(sys.stdin.buffer.read())
    try:
        definition = load(shipment).definitions[name]
        result = definition.function(**definition.types.arguments.decode(payload))
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        outcome: object = definition.types.result.encode(result, what="the result")
    except Exception as error:
        outcome = failure_of(error)
    sys.stdout.buffer.write(pickle.dumps(outcome))


async def _awaited(result: Any) -> object:
    value: object = await result
    return value


if __name__ == "__main__":
    main()
