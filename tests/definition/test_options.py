from __future__ import annotations

import math
import string
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st

from fchains.definition.batch_options import BatchOptions
from fchains.definition.cron import Cron
from fchains.definition.gpus import Gpu
from fchains.definition.option_values import PARSERS
from fchains.definition.options import Options, parse_options
from fchains.definition.problems import Problem, collecting
from fchains.definition.replicas import Replicas
from fchains.definition.resource import setup, use
from fchains.definition.retry import Retry
from fchains.definition.spec import Definition
from fchains.errors import DefinitionError
from fchains.packaging.image import Image
from fchains.packaging.volume import Volume

PLACE = ("app.py", 7)
GIB = 1024**3


def parse(**given: object) -> tuple[Options, list[Problem]]:
    return parse_options(given, subject="f", place=PLACE)


def parsed(**given: object) -> Options:
    options, problems = parse(**given)
    assert problems == []
    return options


def refused(**given: object) -> list[tuple[str, str]]:
    options, problems = parse(**given)
    assert options == Options(name="f")
    assert {(problem.file, problem.line, problem.subject) for problem in problems} == {(*PLACE, "f")}
    return [(problem.message, problem.hint) for problem in problems]


@setup
def model() -> str:
    return "model"


def healthy(loaded: str = use(model)) -> bool:
    return bool(loaded)


async def healthy_soon() -> bool:
    return True


def healthy_with(x: int) -> bool:
    return x > 0


def other() -> None: ...


OTHER = Definition(other, Options(name="other"))


def test_nothing_given_means_the_documented_defaults() -> None:
    options = parsed()
    assert {field.name: getattr(options, field.name) for field in fields(options)} == {
        "name": "f",
        "entrypoint": False,
        "expose": False,
        "image": None,
        "gpu": (),
        "cpu": 1,
        "memory": 2 * GIB,
        "disk": None,
        "replicas": None,
        "group": None,
        "concurrency": None,
        "max_queue": 1000,
        "scaledown_window": 60,
        "timeout": 600,
        "grace": 1.0,
        "startup_timeout": 600,
        "retry": Retry(attempts=1),
        "kill_on_cancel": False,
        "health": None,
        "secrets": (),
        "env": {},
        "volumes": {},
        "schedule": None,
        "calls": (),
    }


def test_the_documented_defaults_may_be_written_out() -> None:
    unset = dict.fromkeys(
        ["name", "image", "gpu", "disk", "replicas", "group", "concurrency", "health", "schedule"]
    )
    seconds = {"scaledown_window": 60, "timeout": 600, "grace": 1.0, "startup_timeout": 600}
    empty: dict[str, object] = {"secrets": (), "env": {}, "volumes": {}, "calls": ()}
    flags = dict.fromkeys(["entrypoint", "expose", "kill_on_cancel"], False)
    sizes = {"cpu": 1, "memory": "2GiB", "max_queue": 1000, "retries": 0}
    written: dict[str, object] = {**unset, **seconds, **empty, **flags, **sizes}
    assert written.keys() == PARSERS.keys()
    assert parsed(**written) == Options(name="f")


@pytest.mark.parametrize(
    ("option", "written", "stored"),
    [
        ("name", "Speech-to_text2", "Speech-to_text2"),
        ("name", "a" * 63, "a" * 63),
        ("entrypoint", True, True),
        ("expose", True, True),
        ("gpu", "a10g:2", (Gpu("A10G", 2),)),
        ("gpu", ["H100", "L4"], (Gpu("H100"), Gpu("L4"))),
        ("cpu", "500m", 0.5),
        ("memory", "16Gi", 16 * GIB),
        ("disk", "100GiB", 100 * GIB),
        ("replicas", 3, Replicas(3, 3)),
        ("replicas", (0, 8), Replicas(0, 8)),
        ("replicas", [1, 1], Replicas(1, 1)),
        ("replicas", Replicas(2, 4), Replicas(2, 4)),
        ("replicas", np.int64(2), Replicas(2, 2)),
        ("group", "speech", "speech"),
        ("concurrency", 8, 8),
        ("max_queue", 0, 0),
        ("scaledown_window", 0, 0),
        ("timeout", None, None),
        ("timeout", np.float64(0.5), 0.5),
        ("grace", 0, 0),
        ("startup_timeout", 1800, 1800),
        ("kill_on_cancel", True, True),
        ("health", healthy, healthy),
        ("health", healthy_soon, healthy_soon),
        ("secrets", ["B", "A", "B"], ("B", "A")),
        ("env", MappingProxyType({"A": ""}), {"A": ""}),
        ("schedule", Cron("@daily"), Cron("@daily")),
        ("calls", [OTHER], (OTHER,)),
    ],
)
def test_a_fitting_value_is_stored(option: str, written: object, stored: object) -> None:
    assert getattr(parsed(**{option: written}), option) == stored


def test_retries_count_attempts_after_the_first() -> None:
    assert parsed(retries=2).retry == Retry(attempts=3)
    assert parsed(retries=Retry(attempts=2, backoff=5)).retry == Retry(attempts=2, backoff=5)


def test_images_and_volumes_are_kept() -> None:
    image = Image.from_registry("python:3.11")
    cache = Volume("cache")
    options = parsed(image=image, volumes={"/cache/": cache, "/data//set": cache})
    assert options.image == image
    assert options.volumes == {"/cache": cache, "/data/set": cache}


NAME_RULE = "1 to 63 letters, digits, `_` or `-`, a letter first"


@pytest.mark.parametrize(
    ("option", "written", "message", "hint"),
    [
        ("name", "2fast", f"must be {NAME_RULE}, not '2fast'", '"transcribe"'),
        ("name", "a" * 64, f"must be {NAME_RULE}, not 'aaa", '"transcribe"'),
        ("name", "a\n", f"must be {NAME_RULE}, not 'a\\n'", '"transcribe"'),
        ("name", "ä", f"must be {NAME_RULE}, not 'ä'", '"transcribe"'),
        ("name", 1, f"must be {NAME_RULE}, not 1", '"transcribe"'),
        ("entrypoint", 1, "must be True or False, not 1", "True or False"),
        ("expose", "yes", "must be True or False, not 'yes'", "True or False"),
        ("kill_on_cancel", None, "must be True or False, not None", "True or False"),
        ("image", "python:3.11", "must be an Image, not 'python:3.11'", "Image.from_registry('python:3.11')"),
        ("image", 3, "must be an Image, not 3", "Image.debian_slim()"),
        ("gpu", "A10", "names no known GPU: 'A10'. Did you mean 'A10G'?", "known are T4"),
        ("cpu", True, "is no number of cores: True", "cpu=2"),
        ("cpu", math.nan, "is no number of cores: nan", "cpu=2"),
        ("memory", 16, "is only 16 bytes: an int counts bytes", '"16GiB"'),
        ("disk", "100", "has no unit: '100'", '"100GiB"'),
        ("replicas", 0, "allows no replica at all: 0", "replicas=(0, 8)"),
        ("replicas", -1, "must not be negative: -1", "replicas=2"),
        ("replicas", (8, 0), "has a minimum above its maximum: (8, 0)", "replicas=(0, 8)"),
        ("replicas", (0, 0), "allows no replica at all: (0, 0)", "replicas=(0, 8)"),
        ("replicas", (1, 2, 3), "must have a minimum and a maximum, not (1, 2, 3)", "replicas=(0, 8)"),
        ("replicas", True, "must be an int or a pair of ints, not True", "replicas=2"),
        ("replicas", (0, None), "must be an int or a pair of ints, not (0, None)", "replicas=2"),
        ("replicas", "0-8", "must be an int or a pair of ints, not '0-8'", "replicas=2"),
        ("replicas", Replicas(3, 2), "has a minimum above its maximum", "replicas=(2, 3)"),
        ("group", "", f"must be {NAME_RULE}, not ''", '"transcribe"'),
        ("concurrency", 0, "must be an int of at least 1, not 0", "8"),
        ("concurrency", True, "must be an int of at least 1, not True", "8"),
        ("concurrency", 2.0, "must be an int of at least 1, not 2.0", "8"),
        ("max_queue", -1, "must be an int of at least 0, not -1", "8"),
        ("max_queue", None, "must be an int of at least 0, not None", "8"),
        ("scaledown_window", -1, "must be a number of seconds, 0 or more, not -1", "30"),
        ("timeout", 0, "must be a number of seconds above 0, not 0", "30, or None for no limit"),
        ("timeout", math.inf, "must be a number of seconds above 0, not inf", "30, or None for no limit"),
        ("timeout", "60s", "must be a number of seconds above 0, not '60s'", "30, or None for no limit"),
        (
            "timeout",
            timedelta(minutes=2),
            "must be a number of seconds above 0, not dat",
            "write 120, or None",
        ),
        ("grace", math.nan, "must be a number of seconds, 0 or more, not nan", "30"),
        ("startup_timeout", None, "must be a number of seconds above 0, not None", "30"),
        ("startup_timeout", 10**400, "must be a number of seconds above 0, not 1000", "30"),
        ("retries", True, "must be an int or a Retry, not True", "Retry(attempts=3) in total"),
        ("retries", -1, "must not be negative: -1", "Retry(attempts=3) in total"),
        ("health", "healthy", "must be a function without arguments, not 'healthy'", "health=is_healthy"),
        ("health", healthy_with, "must need no arguments, but needs x", "= use(load)"),
        ("secrets", "HF_TOKEN", "must be a list, not 'HF_TOKEN'", "write secrets=['HF_TOKEN']"),
        ("secrets", [1], "must name secrets, not 1", 'secrets=["HF_TOKEN"]'),
        ("secrets", {"A": "b"}, "must be a list, not {'A': 'b'}", 'secrets=["HF_TOKEN"]'),
        ("env", ["A=b"], "must be a dict, not ['A=b']", 'env={"LOG_LEVEL": "info"}'),
        ("env", {"A": 3}, "must map names to text, but A is 3", "write 'A': \"3\""),
        ("env", {"A": None}, "must map names to text, but A is None", "write text"),
        ("env", {"A": "b\0"}, "must map names to text, but A is 'b\\x00'", "write text"),
        ("env", {"A=B": "c"}, "has 'A=B' as the name of a variable", 'env={"LOG_LEVEL": "info"}'),
        ("env", {1: "c"}, "has 1 as the name of a variable", 'env={"LOG_LEVEL": "info"}'),
        ("volumes", [Volume("v")], "must be a dict, not [", 'volumes={"/cache": Volume("cache")}'),
        ("volumes", {"cache": Volume("v")}, "needs an absolute path below /, not 'cache'", "/cache"),
        ("volumes", {"/": Volume("v")}, "needs an absolute path below /, not '/'", "/cache"),
        ("volumes", {"/a/../..": Volume("v")}, "needs an absolute path below /, not '/a/../..'", "/cache"),
        ("volumes", {"/cache": "v"}, "needs a Volume at /cache, not 'v'", "write Volume('v')"),
        ("volumes", {"/cache": 1}, "needs a Volume at /cache, not 1", "write {'/cache': Volume(\"cache\")}"),
        (
            "volumes",
            {"/cache": Volume("v"), "/cache/": Volume("w")},
            "mounts two volumes at one path: {'/cache'",
            "a path of its own",
        ),
        ("schedule", "@daily", "must be a Cron, not '@daily'", "write schedule=Cron('@daily')"),
        ("schedule", 60, "must be a Cron, not 60", 'schedule=Cron("0 6 * * *")'),
        ("calls", OTHER, "must be a list, not <chainlet other", "write calls=[other]"),
        ("calls", ["other"], "must list chainlets, not 'other'", "write calls=[other]"),
        ("calls", [other], "must list chainlets, not <function other", "decorate it with @chainlet"),
    ],
)
def test_a_faulty_value_is_a_problem_and_leaves_the_default(
    option: str, written: object, message: str, hint: str
) -> None:
    ((found, advice),) = refused(**{option: written})
    assert found.startswith(f"option `{option}` {message}")
    assert hint in advice


@pytest.mark.parametrize(
    ("option", "message", "hint"),
    [
        ("memroy", "there is no option `memroy`. Did you mean `memory`?", "write memory=…"),
        ("retry", "there is no option `retry`. Did you mean `retries`?", "write retries=…"),
        ("GPU", "there is no option `GPU`. Did you mean `gpu`?", "write gpu=…"),
        ("banana", "there is no option `banana`", "options are name, entrypoint, "),
    ],
)
def test_an_unknown_option_is_a_problem(option: str, message: str, hint: str) -> None:
    ((found, advice),) = refused(**{option: 1})
    assert found == message
    assert advice.startswith(hint)


def test_all_problems_are_found_at_once() -> None:
    options, problems = parse(gpu=["A10", "L5"], cpu=0, memroy=1, env={"A": 1, "": "x"}, timeout=5)
    assert [problem.message.split(":")[0] for problem in problems] == [
        "option `gpu` names no known GPU",
        "option `gpu` names no known GPU",
        "option `cpu` must be more than 0 and at most 448 cores, not 0",
        "there is no option `memroy`. Did you mean `memory`?",
        "option `env` must map names to text, but A is 1",
        "option `env` has '' as the name of a variable",
    ]
    assert options == Options(name="f", timeout=5)


@pytest.mark.parametrize(
    ("function", "fallback"),
    [("_private", "private"), ("<lambda>", "lambda"), ("größe", "gre"), ("_", "chainlet")],
)
def test_a_functions_name_that_is_no_chainlets_needs_another(function: str, fallback: str) -> None:
    options, (problem,) = parse_options({}, subject=function, place=PLACE)
    assert (
        problem.message == f"the function's name '{function}' is no name for a chainlet: that is {NAME_RULE}"
    )
    assert problem.hint == f'give it one: name="{fallback}"'
    assert options.name == fallback
    assert parse_options({"name": "g"}, subject=function, place=PLACE) == (Options(name="g"), [])


def test_replace_keeps_what_is_not_given() -> None:
    base = parsed(gpu="L4", timeout=5, secrets=["A"])
    options, problems = base.replace({"gpu": "H100", "cpu": 4}, subject="f", place=PLACE)
    assert problems == []
    assert options == parsed(gpu="H100", cpu=4, timeout=5, secrets=["A"])
    assert base.gpu == (Gpu("L4"),)
    assert base.replace({"name": None}, subject="f", place=PLACE) == (base, [])


def test_replace_can_unset() -> None:
    base = parsed(gpu="L4", timeout=5)
    assert base.replace({"gpu": None, "timeout": None}, subject="f", place=PLACE) == (
        parsed(timeout=None),
        [],
    )


def test_replace_keeps_the_old_value_of_a_faulty_option() -> None:
    base = parsed(gpu="L4")
    options, (problem,) = base.replace({"gpu": "A10"}, subject="g", place=PLACE)
    assert options == base
    assert str(problem).startswith(
        "app.py:7: g: option `gpu` names no known GPU: 'A10'. Did you mean 'A10G'?"
    )


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(string.printable)
    | st.just(len)
    | st.just(int),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text("/aA=\0"), inner)
    ),
    max_leaves=4,
)


@settings(max_examples=40, deadline=None)
@generated(
    st.dictionaries(st.sampled_from(list(PARSERS)) | st.text(string.ascii_lowercase), VALUES, max_size=6)
)
def test_whatever_is_given_there_are_options(given: Mapping[str, object]) -> None:
    options, problems = parse_options(given, subject="f", place=PLACE)
    assert all(problem.message and problem.hint for problem in problems)
    again = {field.name: getattr(options, field.name) for field in fields(options)}
    again["retries"] = again.pop("retry")
    assert parse_options(again, subject="f", place=PLACE) == (options, [])


def make_batch(size: Any, wait: Any) -> BatchOptions:
    return BatchOptions(size, wait)


def test_batch_options_keep_their_limits() -> None:
    batch = BatchOptions(max_size=8, max_wait=0.02)
    assert (batch.max_size, batch.max_wait) == (8, 0.02)
    assert make_batch(np.int8(1), np.float32(0)) == BatchOptions(1, 0)


@pytest.mark.parametrize(
    ("size", "wait", "message"),
    [
        (0, 1, "max_size must be an int of at least 1, not 0"),
        (True, 1, "max_size must be an int of at least 1, not True"),
        (8.0, 1, "max_size must be an int of at least 1, not 8.0"),
        (8, -0.1, "max_wait must be 0 to 600 seconds, not -0.1"),
        (8, 1000, "max_wait must be 0 to 600 seconds, not 1000"),
        (8, "20ms", "max_wait must be 0 to 600 seconds, not '20ms'"),
        (8, False, "max_wait must be 0 to 600 seconds, not False"),
        (8, math.nan, "max_wait must be 0 to 600 seconds, not nan"),
    ],
)
def test_faulty_limits_of_a_batch_are_refused(size: Any, wait: Any, message: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        make_batch(size, wait)
    (problem,) = raised.value.problems
    assert (problem.message, problem.file, problem.subject) == (message, __file__, "batched")
    if "max_wait" in message:
        assert "max_wait is in seconds" in problem.hint
    with collecting() as problems:
        assert make_batch(size, wait) in {BatchOptions(1, 1), BatchOptions(8, 0)}
    assert len(problems) == 1
