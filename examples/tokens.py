"""Streams through two hops: each token is passed on as soon as it is made.

python examples/tokens.py
"""

import asyncio
from collections.abc import AsyncIterator

from fchains import chainlet, use_runner

TEXT = "well , the answer to that is um streaming : nobody waits for the end uh of the story"
FILLERS = {"well", "um", "uh", ","}


@chainlet
async def tokens(pause: float) -> AsyncIterator[str]:
    """Stands for a language model that makes a token every `pause` seconds."""
    for token in TEXT.split():
        await asyncio.sleep(pause)
        yield token


@chainlet(entrypoint=True)
async def loud(pause: float = 0.1) -> AsyncIterator[str]:
    """The tokens without the fillers, in capitals."""
    async for token in tokens.remote(pause):
        if token not in FILLERS:
            yield token.upper()


def main() -> None:
    with use_runner("inline"):
        for token in loud.remote():
            print(token, end=" ", flush=True)
    print()


if __name__ == "__main__":
    main()
