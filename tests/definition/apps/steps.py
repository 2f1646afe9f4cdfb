"""Chainlets and helpers that the other modules here reach in various ways."""

from __future__ import annotations

from fchains import chainlet


@chainlet
def embed(text: str) -> int:
    return len(text)


@chainlet
def rank(x: int) -> int:
    return x


@chainlet
def store(x: int) -> int:
    return x


@chainlet
def unused(x: int) -> int:
    return x


def helper(text: str) -> int:
    return deeper(text)


def deeper(text: str) -> int:
    return embed.remote(text).result()


class Pipeline:
    def __init__(self) -> None:
        self.last = store

    @property
    def size(self) -> int:
        return rank.remote(1).result()

    @staticmethod
    def run(text: str) -> int:
        return embed.remote(text).result()


shared = Pipeline()
