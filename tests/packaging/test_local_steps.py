import importlib
import sys
from collections.abc import Callable

import pytest

from fchains.errors import DefinitionError
from fchains.packaging.image import Image
from tests.packaging.conftest import Write
from tests.packaging.images import (
    CACHE,
    FILES,
    PIP,
    SLIM,
    Resource,
    context_of,
    lines_of,
    message_of,
)

DECLARING = "from fchains.packaging.image import Image\nimage = Image.debian_slim('3.11')"


def test_files_are_named_in_the_context_as_the_dockerfile_copies_them(write: Write) -> None:
    root = write({"my file$.txt": "1", "d/e.txt": "2", "d/__pycache__/x.pyc": "3", "d/x.tmp": ""})
    image = SLIM.add_local_file(root / "my file$.txt", "/etc/my file.txt").add_local_dir(
        root / "d", "/d/", ["*.tmp"]
    )

    assert lines_of(image)[1:] == [
        'COPY [".fchains/1/my_file_.txt", "/etc/my file.txt"]',
        "COPY .fchains/2/ /d/",
    ]
    assert context_of(image) == {".fchains/1/my_file_.txt": b"1", ".fchains/2/e.txt": b"2"}


def test_local_paths_count_from_the_declaring_file_then_from_the_project_root(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    declaring = f"{DECLARING}.add_local_file({{!r}}, '/x')"
    root = write(
        {
            "pyproject.toml": "",
            "src/one.py": declaring.format("near.txt"),
            "src/two.py": declaring.format("far.txt"),
            "src/near.txt": "near",
            "near.txt": "wrong",
            "far.txt": "far",
            "cwd/near.txt": "wrong",
            "cwd/far.txt": "wrong",
        }
    )
    monkeypatch.chdir(root / "cwd")
    sys.path.insert(0, str(root / "src"))
    images = [importlib.import_module(name).image for name in ("one", "two")]

    assert [list(context_of(image).values()) for image in images] == [[b"near"], [b"far"]]


def test_in_a_notebook_local_paths_count_from_the_working_directory(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write({"a.txt": "1"}))
    namespace: dict[str, object] = {"Image": Image}
    exec(
        compile("image = Image.debian_slim('3.11').add_local_file('a.txt', '/a')", "<cell>", "exec"),
        namespace,
    )
    image = namespace["image"]

    assert isinstance(image, Image)
    assert list(context_of(image).values()) == [b"1"]


def test_links_are_followed_and_cycles_and_dead_links_are_refused(write: Write) -> None:
    root = write({"d/a.txt": "1", "far/b.txt": "2"})
    (root / "d/far").symlink_to(root / "far")
    image = SLIM.add_local_dir(root / "d", "/d")

    assert list(context_of(image).values()) == [b"1", b"2"]
    (root / "d/loop").symlink_to(root / "d")
    assert "loop links to a folder that holds it" in message_of(image.digest)
    (root / "d/loop").unlink()
    (root / "d/dead").symlink_to(root / "gone")
    assert "dead is a link to nowhere" in message_of(image.digest)


def test_a_folder_without_files_is_refused(write: Write) -> None:
    image = SLIM.add_local_dir(write({"d/__pycache__/x": ""}) / "d", "/d")

    assert "holds no file to add" in message_of(image.dockerfile)


def test_requirements_bring_the_files_that_they_name(write: Write) -> None:
    root = write(
        {
            "a/requirements.txt": "-r ../base.txt\n--constraint=limits.txt\nnumpy # -r not.txt\n-e git+https://x/y\n",
            "base.txt": "-r a/more.txt\n-r https://x/y.txt\n",
            "a/more.txt": "-r ../base.txt\n",
            "a/limits.txt": "",
        }
    )
    context = context_of(SLIM.pip_install_from_requirements(root / "a/requirements.txt"))

    assert {name.rpartition("/")[2]: content for name, content in context.items()} == {
        "requirements.txt": b"-r 1-base.txt\n--constraint=2-limits.txt\nnumpy # -r not.txt\n-e git+https://x/y\n",
        "1-base.txt": b"-r 3-more.txt\n-r https://x/y.txt\n",
        "2-limits.txt": b"",
        "3-more.txt": b"-r 1-base.txt\n",
    }


@pytest.mark.parametrize(
    "line", ["-e .", "--editable=./x", "./x.whl", ".", "file:///x", "x @ file:///x", "../x"]
)
def test_a_local_project_in_a_requirements_file_is_refused_with_its_line(write: Write, line: str) -> None:
    image = SLIM.pip_install_from_requirements(write({"r.txt": f"numpy\n{line}\n"}) / "r.txt")

    with pytest.raises(DefinitionError, match=r"r\.txt:2: .* is a local project"):
        image.dockerfile()


def test_a_requirements_file_that_names_a_missing_one_is_refused(write: Write) -> None:
    image = SLIM.pip_install_from_requirements(write({"r.txt": "-r gone.txt\n"}) / "r.txt")

    assert "gone.txt cannot be read" in message_of(image.digest)


def test_a_users_dockerfile_is_the_base_with_its_folder_as_context(write: Write) -> None:
    root = write(
        {
            "docker/Dockerfile": "FROM ubuntu AS a\nCOPY . /src\n\n",
            "docker/.dockerignore": "*.log\n",
            "docker/a.txt": "1",
            "docker/b.log": "2",
        }
    )
    image = Image.from_dockerfile(root / "docker/Dockerfile").pip_install("x")

    assert image.dockerfile() == f"FROM ubuntu AS a\nCOPY . /src\nRUN {CACHE} {PIP} x\n"
    assert sorted(context_of(image)) == ["Dockerfile", "a.txt"]
    before = image.digest()
    (root / "docker/a.txt").write_text("2")
    assert image.digest() != before


def test_a_dockerfile_that_copies_nothing_of_its_folder_has_no_context(write: Write) -> None:
    root = write({"Dockerfile": "FROM a AS b\nFROM c\nCOPY --from=b /x /y\n", "huge.bin": ""})

    assert Image.from_dockerfile(root / "Dockerfile").context() == ()


def test_uv_sync_finds_the_project_around_the_declaring_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(FILES | {"src/app.py": f"{DECLARING}.uv_sync()"})
    sys.path.insert(0, str(root / "src"))
    monkeypatch.delitem(sys.modules, "app", raising=False)  # an example is called so too
    image = importlib.import_module("app").image

    assert sorted(context_of(image)) == [".fchains/1/pyproject.toml", ".fchains/1/uv.lock"]


def test_uv_sync_without_a_lock_resolves_in_the_build(write: Write) -> None:
    root = write({"pyproject.toml": "[project]\nname = 'x'\n"})

    assert "--frozen" not in SLIM.uv_sync(root, frozen=False).dockerfile()
    assert "there is no uv.lock" in message_of(lambda: SLIM.uv_sync(root))


def test_a_uv_workspace_is_refused(write: Write) -> None:
    root = write({"pyproject.toml": "[tool.uv.workspace]\nmembers = ['a']\n", "uv.lock": ""})

    assert "workspaces are not supported\n    run `uv export" in message_of(lambda: SLIM.uv_sync(root))


def test_unknown_groups_and_extras_are_refused(write: Write) -> None:
    root = write(FILES)

    assert "groups=['dev'] is not in pyproject.toml\n    it defines serve" in message_of(
        lambda: SLIM.uv_sync(root, groups=["dev"])
    )
    assert "it defines gpu" in message_of(lambda: SLIM.uv_sync(root, extras=["cpu"]))
    assert "groups='serve' is a string\n    write groups=[\"serve\"]" in message_of(
        lambda: SLIM.uv_sync(root, groups="serve")
    )


def test_a_baked_resource_of_a_notebook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def here() -> None: ...

    here.__module__, here.__qualname__ = "__main__", "here"
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)

    assert "is defined in a notebook or REPL" in message_of(lambda: SLIM.run_setup(Resource(here)))


def test_a_baked_resource_without_source_is_refused(write: Write) -> None:
    namespace: dict[str, Callable[[], None]] = {}
    exec("def made(): ...", {"__name__": "made_up"}, namespace)
    image = SLIM.run_setup(Resource(namespace["made"]))

    assert "the source of made_up:made cannot be read" in message_of(image.dockerfile)
