from collections.abc import Callable
from pathlib import Path

import pytest

from fchains.packaging.image import Image
from tests.packaging.images import SLIM, Resource, message_of, weights

RESOURCE_HINT = "give the function that @setup decorates"
BAD: list[tuple[Callable[[], object], str]] = [
    (lambda: Image.debian_slim(python=3.11), 'python=3.11 is no string\n    write python="3.11"'),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: Image.debian_slim(python=3.1), "choose one of 3.11, 3.12, 3.13, 3.14"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: Image.debian_slim(python="3.10"), "python='3.10' is not supported\n    choose one of"),
    (lambda: Image.debian_slim(python="3.12.4"), 'write python="3.12"'),
    (lambda: Image.from_registry(""), "'' is no reference of an image"),
    (lambda: Image.from_registry("docker://x"), "no reference"),
    (lambda: Image.from_registry("a b"), "no reference"),
    (lambda: Image.from_registry("a\nRUN x"), "no reference"),
    (lambda: Image.from_registry("python", "3.11"), 'write Image.from_registry("python:3.11")'),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: Image.from_dockerfile("gone"), "there is no "),
    (lambda: Image("python:3.11"), "write Image.debian_slim()"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.pip_install(*()), 'no package is given\n    write .pip_install("numpy==2.1.0")'),
    (lambda: SLIM.pip_install(["a", "b"]), 'not a list\n    write .pip_install("a", "b")'),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.pip_install(3), "3 is no package: it must be a string"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.pip_install(" "), "' ' is an empty package"),
    (lambda: SLIM.pip_install("a\nb"), "'a\\nb' has a line break"),
    (
        lambda: SLIM.pip_install("-r x.txt"),
        "is an option, not a package\n    use .pip_install_from_requirements",
    ),
    (lambda: SLIM.pip_install("--pre"), "pass pre=True"),
    (lambda: SLIM.pip_install("--index-url=https://x"), "pass index_url="),
    (lambda: SLIM.pip_install("--no-deps"), "use .run_commands("),
    (lambda: SLIM.pip_install("numpy", "1.26"), 'is a version, not a package\n    write "numpy==1.26"'),
    (lambda: SLIM.pip_install("numpy", "==1.26.*"), 'write "numpy==1.26.*"'),
    (
        lambda: SLIM.pip_install("numpy scipy"),
        'more than one package\n    write .pip_install("numpy", "scipy")',
    ),
    (lambda: SLIM.pip_install("numpy, scipy"), "is more than one package"),
    (lambda: SLIM.pip_install("numpy=1.0"), 'has a single =\n    write "numpy==1.0"'),
    (lambda: SLIM.pip_install("./x.whl"), "is a local path"),
    (lambda: SLIM.pip_install("???"), "is no requirement"),
    (lambda: SLIM.pip_install("a", index_url="a b"), "index_url='a b' is no URL"),
    (lambda: SLIM.pip_install("a", find_links="-x"), "find_links='-x' is no URL"),
    (lambda: SLIM.apt_install(*()), "no package is given"),
    (
        lambda: SLIM.apt_install("ffmpeg git"),
        "'ffmpeg git' is no Debian package\n    give one name per argument",
    ),
    (lambda: SLIM.apt_install("-y"), "use .run_commands("),
    (lambda: SLIM.apt_install("x; rm"), "is no Debian package"),
    (lambda: SLIM.env(*()), "no variable is given"),
    (lambda: SLIM.env(A=1), 'the value of A must be a string, not 1\n    write .env(A="1")'),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.env({"A": None}), "must be a string, not None"),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.env({"A B": "1"}), "'A B' is no name of a variable"),
    (lambda: SLIM.env({1: "1"}), "1 is no name of a variable"),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.env(A="a\nRUN x"), "has a line break"),
    (lambda: SLIM.env("A", "1"), 'write .env({"A": "1"})'),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.env("A=1"), "the variables must be a dict, not 'A=1'"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.workdir("app"), "'app', the path in the image, must be absolute\n    write \"/app\""),
    (lambda: SLIM.workdir(3), "must be a string, not 3"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.workdir("/a\nb"), "is no plain path"),
    (lambda: SLIM.workdir("/a/../b"), "is no plain path"),
    (lambda: SLIM.run_commands(*()), "no command is given"),
    (lambda: SLIM.run_commands("  "), "is an empty command"),
    (lambda: SLIM.run_commands(["a", "b"]), 'write .run_commands("a", "b")'),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.add_local_file("gone.txt", "/x"), "there is no "),
    (lambda: SLIM.add_local_file(__file__, "x"), "to swap the two, write .add_local_file('x', "),
    (lambda: SLIM.add_local_file("x", "./y"), 'must be absolute\n    write "/y"'),
    (lambda: SLIM.add_local_file(Path(__file__).parent, "/x"), "is a folder\n    use .add_local_dir("),
    (lambda: SLIM.add_local_dir(__file__, "/x"), "is a file\n    use .add_local_file("),
    (lambda: SLIM.add_local_dir(".", "/x", ignore="*.pyc"), 'write ignore=["*.pyc"]'),
    (lambda: SLIM.add_local_dir(".", "/x", ignore=[3]), "ignore=[3] is no list of strings"),  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.add_local_dir(".", "/x", ignore=3), "ignore=3 is no list of strings"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.pip_install_from_requirements("gone.txt"), "there is no "),
    (lambda: SLIM.pip_install_from_requirements("."), "is a folder\n    give the file in it"),
    (lambda: SLIM.uv_sync("gone"), "there is no "),
    (lambda: SLIM.run_setup(lambda: 1), RESOURCE_HINT),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.run_setup(weights), RESOURCE_HINT),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (lambda: SLIM.run_setup(Resource(lambda: 1)), "cannot be found again by its name"),
    (lambda: SLIM.run_setup(Resource(weights, {"size": {1}})), "is no JSON value"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_mistake_is_refused_at_once_with_its_place_and_the_way_out(number: int) -> None:
    make, message = BAD[number]

    assert message in message_of(make)
