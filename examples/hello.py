"""Greets everybody: one chainlet calls another, which uses a resource."""

from fchains import chainlet, setup, use


@setup
def greetings() -> dict[str, str]:  # made once per replica: think of a model that takes long to load
    return {"en": "Hello", "fr": "Bonjour"}


@chainlet
def greet(name: str, language: str = "en", *, words: dict[str, str] = use(greetings)) -> str:
    return f"{words[language]}, {name}!"


@chainlet(entrypoint=True)
async def hello(names: list[str]) -> list[str]:
    return await greet.map(names)
