"""A runner of your own: each call gets a fresh replica, in a thread of its own.

python examples/custom_runner.py
"""

import asyncio

from fchains import Runner, chainlet, deployment, gather, use_runner
from fchains.calls.invocation import Invocation, Outcome
from fchains.calls.portal import Portal
from fchains.calls.runner import Capability, Chain, Deployment
from fchains.calls.session import ChainSession
from fchains.calls.unary import UnaryChannel
from fchains.worker.once import run_once


class FreshRunner(Runner):
    """Nothing runs between calls; so there are no streams, and no calls that share a replica."""

    name = "fresh"
    capabilities = frozenset({Capability.NESTING, Capability.CANCELLATION, Capability.OVERRIDES})

    async def start(self, chain: Chain) -> Deployment:
        return FreshDeployment(chain)


class FreshDeployment(Deployment):
    def __init__(self, chain: Chain) -> None:
        self.fresh = FreshChannel(chain, ChainSession(chain, lambda: self))

    def channel(self, chainlet: str) -> UnaryChannel:
        return self.fresh


class FreshChannel(UnaryChannel):
    def __init__(self, chain: Chain, session: ChainSession) -> None:
        self.chain = chain
        self.session = session

    async def invoke(self, invocation: Invocation) -> Outcome:
        thread = Portal(f"fresh-{invocation.id}")
        try:
            return await asyncio.wrap_future(thread.submit(run_once(self.chain, invocation, self.session)))
        finally:
            thread.close(wait=False)


@chainlet
def whisper(name: str) -> str:
    return f"hello {name} from a {deployment().chain} of {deployment().replica.split('-')[0]}s"


@chainlet
async def twice(name: str) -> list[str]:
    return list(await gather(whisper.remote(name), whisper.remote(name)))


def main() -> None:
    with use_runner(FreshRunner()):
        print(*twice.remote("Ada").result(), sep="\n")


if __name__ == "__main__":
    main()
