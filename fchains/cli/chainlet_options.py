"""The options that a chainlet's signature gives to `fchains run`."""

from __future__ import annotations

import inspect
import json
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from fchains.cli.exits import UsageError
from fchains.cli.fields import Field, bare, choices_shown, fields_of, item_of, signature_of
from fchains.cli.own_options import ANNOTATIONS
from fchains.definition.spec import Definition

_WIDEST = 24
_SAMPLES: dict[Any, object] = {int: 1, float: 0.5, bool: True, str: "a"}
_HINTS = {
    "bytes": "a file, or - for standard input",
    "list": "as JSON, or given several times",
    "stream": "a file with an item per line as JSON, or - for standard input",
}


@dataclass(frozen=True, slots=True)
class Given:
    """What stands after the reference.

    Args:
        texts: of each parameter that was given, by name: its texts, or the value of a flag.
        own: the options of `fchains run` itself.
    """

    texts: dict[str, list[str] | bool]
    own: dict[str, Any]


def parse_options(reference: str, definition: Definition, arguments: Sequence[str]) -> Given:
    """Read the options of a chainlet, and those of `fchains run` whose names it leaves free.

    Raises:
        typer's errors: an option is unknown or lacks its value, or help was asked for.
    """
    fields = fields_of(definition)
    taken = {field.option for field in fields}
    free = {name: each for name, (option, each) in ANNOTATIONS.items() if option not in taken}
    parameters = [_own(name, annotation) for name, annotation in free.items()]
    parameters += [_parameter(number, field) for number, field in enumerate(fields)]
    command = _command(parameters, _about(definition), _examples(reference, definition, fields), taken)
    values = command.make_context(f"fchains run {reference}", list(arguments)).params
    texts = {field.name: values[_name(number)] for number, field in enumerate(fields)}
    return Given(
        # Older versions of typer give an empty list or tuple for what was left out.
        texts={name: value for name, value in texts.items() if value is not None and value not in ([], ())},
        own={name: values[name] for name in free},
    )


def require(reference: str, definition: Definition, missing: Sequence[Field]) -> None:
    """Refuse a call that lacks parameters.

    Raises:
        UsageError: some are missing; the message shows the signature and an example.
    """
    if missing:
        options = ", ".join(field.option for field in missing)
        example = _example(reference, fields_of(definition))
        shown = textwrap.indent(f"{signature_of(definition)}\n{example}", "  ")
        raise UsageError(f"{definition.name} needs {options}\n{shown}")


def _command(parameters: Sequence[inspect.Parameter], about: str, examples: str, taken: set[str]) -> Any:
    def parsed(**given: object) -> None:
        """Typer reads its signature; it is never called."""

    in_order = sorted(parameters, key=lambda parameter: not parameter.name.startswith("parameter_"))
    vars(parsed)["__signature__"] = inspect.Signature(in_order)
    parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in in_order}
    app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    helps = ["-h"] if "--help" in taken else ["-h", "--help"]
    app.command(help=about, epilog=examples, context_settings={"help_option_names": helps})(parsed)
    return typer.main.get_command(app)


def _own(name: str, annotation: Any) -> inspect.Parameter:
    default = False if name in ("as_json", "quiet") else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parameter(number: int, field: Field) -> inspect.Parameter:
    if field.kind == "flag":
        option = f"{field.option}/--no-{field.option.removeprefix('--')}"
        annotation: Any = Annotated[bool | None, typer.Option(option, help=_help(field), show_default=False)]
    else:
        shown = typer.Option(field.option, metavar=_metavar(field), help=_help(field), show_default=False)
        annotation = Annotated[list[str] | None, shown]
    return inspect.Parameter(
        _name(number), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _name(number: int) -> str:
    # Parameters of the user may be called anything, also like one of our own options.
    return f"parameter_{number}"


def _metavar(field: Field) -> str:
    return field.shown if len(field.shown) <= _WIDEST else "VALUE"


def _help(field: Field) -> str:
    parts = [] if len(field.shown) <= _WIDEST or field.kind == "flag" else [field.shown]
    choices = choices_shown(field.annotation)
    if choices:
        parts.append(f"one of {', '.join(choices)}")
    elif _is_structure(field):
        parts.append("as JSON, or @file.json")
    elif field.kind in _HINTS:
        parts.append(_HINTS[field.kind])
    parts.append("required" if field.required else f"default {field.default_shown}")
    return "; ".join(parts)


def _is_structure(field: Field) -> bool:
    """Whether its values are written as JSON."""
    return field.kind == "value" and bare(field.annotation) not in _SAMPLES and not _is_named(field)


def _is_named(field: Field) -> bool:
    """Whether its values are texts, such as a date or a path."""
    from fchains.wire.codec import Codec

    schema = Codec[Any](bare(field.annotation)).json_schema()
    return schema.get("type") in ("string", "integer", "number") or bool(choices_shown(field.annotation))


def _about(definition: Definition) -> str:
    signature = f"\b\n{signature_of(definition)}"
    text = inspect.getdoc(definition.function)
    return f"{text}\n\n{signature}" if text else signature


def _examples(reference: str, definition: Definition, fields: Sequence[Field]) -> str:
    lines = [_example(reference, fields), f"{_example(reference, fields)} --json"]
    if definition.kind == "unary" and fields and fields[0].kind != "stream":
        others = [field for field in fields[1:] if field.required]
        lines.append(" ".join([f"fchains run {reference} --map items.ndjson", *map(_sample, others)]))
    examples = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
    taken = {field.option for field in fields}.intersection(option for option, _ in ANNOTATIONS.values())
    if not taken:
        return examples
    return (
        f"{examples}\n\nWritten before {reference}, {' and '.join(sorted(taken))} is that of `fchains run`."
    )


def _example(reference: str, fields: Sequence[Field]) -> str:
    return " ".join(["fchains run", reference, *(_sample(field) for field in fields if field.required)])


def _sample(field: Field) -> str:
    return " ".join([field.option, *map(shlex.quote, _sample_values(field))])


def _sample_values(field: Field) -> Iterator[str]:
    plain, choices = bare(field.annotation), choices_shown(field.annotation)
    if field.kind == "flag":
        return
    if choices:
        yield choices[0]
    elif field.kind == "bytes":
        yield f"{field.name}.bin"
    elif field.kind == "stream":
        yield f"{field.name}.ndjson"
    elif field.kind == "list" and item_of(plain) in _SAMPLES:
        yield json.dumps([_SAMPLES[item_of(plain)]])
    elif plain in _SAMPLES:
        yield str(_SAMPLES[plain])
    else:
        yield "…" if not _is_structure(field) and field.kind != "list" else f"@{field.name}.json"
