# mypy: ignore-errors
# pyright: reportArgumentType=false, reportCallIssue=false, reportMissingParameterType=false
# pyright: reportUnknownParameterType=false, reportUnknownVariableType=false, reportUndefinedVariable=false
# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# ruff: noqa: F821
"""Each line that ends in `# mistake` has one."""

from __future__ import annotations

from fchains import Cron, chainlet, secret, setup, use


class Model:
    pass


class Tokenizer:
    pass


@setup
def load(size: str) -> Model:
    return Model()


@setup
def tokenizer() -> Tokenizer:
    return Tokenizer()


@chainlet(gpu="A10")
def unknown_gpu(x: int) -> int:  # mistake
    return x


@chainlet(replica=2)
def misspelt_option(x: int) -> int:  # mistake
    return x


@chainlet
def unannotated(x) -> int:  # mistake
    return x


@chainlet
def unresolvable(x: Missing) -> int:  # mistake
    return 1


@chainlet
def variadic(*xs: int) -> int:  # mistake
    return sum(xs)


@chainlet
def wrong_default(x: int = "one") -> int:  # mistake
    return x


@chainlet
def unbound(x: int, *, model: Model = use(load)) -> int:  # mistake
    return x


@chainlet
def wrong_resource(x: int, *, model: Model = use(tokenizer)) -> int:  # mistake
    return x


@chainlet(schedule=Cron("@daily"))
def scheduled(day: str) -> int:  # mistake
    return 1


@chainlet(secrets=["TOKEN"], entrypoint=True)
def undeclared() -> str:
    return secret("TOKENS")  # mistake
