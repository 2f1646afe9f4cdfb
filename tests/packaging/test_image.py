import os
import sys
from pathlib import Path

import pytest

from fchains.definition.resource import setup
from fchains.packaging.image import Image
from tests.packaging.conftest import Write
from tests.packaging.images import CACHE, FILES, PIP, SLIM, full, lines_of, weights

# Golden: whatever changes one of these makes every user build every image anew.
FULL_DOCKERFILE = """\
FROM python:3.11-slim-bookworm
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ffmpeg \
libsndfile1=1.2.0-1 && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,source=.fchains/2,target=/tmp/project,rw --mount=type=cache,target=/root/.cache \
PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install uv==0.13.8 && UV_LINK_MODE=copy \
UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT="$(python3 -c 'import sys; print(sys.prefix)')" \
python3 -m uv sync --project /tmp/project --no-default-groups --no-install-workspace --inexact --group \
serve --extra gpu --frozen
RUN --mount=type=cache,target=/root/.cache/pip PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install \
--extra-index-url https://x.org/simple faster-whisper==1.1.0
RUN --mount=type=bind,source=.fchains/4,target=/tmp/requirements \
--mount=type=cache,target=/root/.cache/pip PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install -r \
/tmp/requirements/requirements.txt
COPY .fchains/5/config.yaml /etc/app/config.yaml
RUN --mount=type=bind,from=fchains,target=/opt/fchains PYTHONPATH=/opt/fchains python3 -m \
fchains.worker.bake podcast:whisper \
sha256:4a5848a2e8abf7189d3ca8a42a2b67c2b029092d9551d8a48d92203f5755e229 '{"size": "tiny"}'
WORKDIR /app
COPY .fchains/8/ /assets/
ENV HF_HOME="/cache" PATH="/opt/bin:$PATH"
RUN ffmpeg -version
"""
FULL_DIGEST = "c234cf754a87fb336cb8948029946324147afafb77c89fd0a8e384cacddf3909"
GOLDEN: dict[str, tuple[Image, str]] = {
    "slim": (SLIM, "f10cf523285c8758a04493a1418a72efc22caee42850d70e447b320c3f57302c"),
    "slim-3.14": (
        Image.debian_slim("3.14"),
        "9900d1e2652925af777d9cef739d90985f5e13861885e105a9accfdb2c5f5560",
    ),
    "registry": (
        Image.from_registry("nvidia/cuda:12.6.0-runtime-ubuntu24.04").apt_install("python3-pip"),
        "2df65dc89c3baddceb5e5dce7aa301951beac0e6bdfeb44dcd8dd16505daaf73",
    ),
    "pip": (
        SLIM.pip_install("numpy==2.1.0", "torch>=2", index_url="https://x.org/simple", pre=True),
        "5e5d521b1b776582de12e9599fe939866936a3146fe1ddf32bc0012112634b40",
    ),
    "env": (
        SLIM.env(A="1", B='"$x" \\').workdir("/app").run_commands("echo 1", "cat <<E\n1\nE"),
        "0939c740a0b0ed3c1e835c877dd9200db78d9e7f6aacdd9382af91fc0160ceba",
    ),
}


def test_the_dockerfile_is_golden(write: Write) -> None:
    assert full(write(FILES)).dockerfile() == FULL_DOCKERFILE


def test_the_digest_is_golden(write: Write) -> None:
    assert full(write(FILES)).digest() == FULL_DIGEST


@pytest.mark.parametrize("name", GOLDEN)
def test_the_digest_of_a_simple_image_is_golden(name: str) -> None:
    image, digest = GOLDEN[name]

    assert image.digest() == digest


def test_an_image_is_not_changed_by_its_methods() -> None:
    before = SLIM.dockerfile()
    SLIM.pip_install("numpy").apt_install("git")

    assert SLIM.dockerfile() == before
    with pytest.raises(AttributeError):
        SLIM.steps = ()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_images_declared_alike_are_equal() -> None:
    one = SLIM.pip_install("numpy")

    other = SLIM.pip_install("numpy")
    assert one == other
    assert hash(one) == hash(other)
    assert one != SLIM.pip_install("scipy")
    assert repr(one) == "<Image python:3.11-slim-bookworm with 1 steps>"


def test_the_default_python_is_the_running_one() -> None:
    running = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert Image.debian_slim() == Image.debian_slim(python=running)
    assert Image.debian_slim().python == running
    assert Image.from_registry("ubuntu").python is None


def test_system_packages_come_first_then_python_packages_then_the_rest(write: Write) -> None:
    image = (
        SLIM.workdir("/a").pip_install("x").add_local_dir(write({"a/b": ""}) / "a", "/b").apt_install("git")
    )

    assert [line[:12] for line in lines_of(image)] == [
        "FROM python:",
        "RUN apt-get ",
        "RUN --mount=",
        "WORKDIR /a",
        "COPY .fchain",
    ]


def test_packages_stay_behind_the_variables_and_commands_that_they_may_need() -> None:
    image = (
        SLIM.workdir("/a").env(CMAKE_ARGS="-DX").pip_install("x").run_commands("get-key").apt_install("git")
    )

    assert [line.split()[0] for line in lines_of(image)] == ["FROM", "WORKDIR", "ENV", "RUN", "RUN", "RUN"]
    assert lines_of(image)[3].endswith("install x")
    assert lines_of(image)[4] == "RUN get-key"


def test_a_package_given_by_its_path_stays_behind_the_file_that_brings_it(write: Write) -> None:
    wheel = write({"x.whl": ""}) / "x.whl"

    assert lines_of(SLIM.add_local_file(wheel, "/x.whl").pip_install("/x.whl"))[1].startswith("COPY")


def test_the_order_of_calls_that_does_not_matter_does_not_change_the_digest() -> None:
    one, other = SLIM.apt_install("git").pip_install("x"), SLIM.pip_install("x").apt_install("git")

    assert one.digest() == other.digest()
    assert SLIM.pip_install("x").pip_install("y").digest() != SLIM.pip_install("y").pip_install("x").digest()


def test_the_digest_depends_on_the_platform_and_the_python_version() -> None:
    assert SLIM.digest() == SLIM.digest(platform="linux/amd64")
    assert SLIM.digest() != SLIM.digest(platform="linux/arm64")
    assert SLIM.digest() != Image.debian_slim(python="3.12").digest()


def test_the_digest_depends_on_neither_place_nor_time_nor_umask(write: Write) -> None:
    root = write({f"{part}/{name}": content for part in "ab" for name, content in FILES.items()})
    before = full(root / "a").digest()
    for path in (root / "b").rglob("*.txt"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    del sys.modules["podcast"]

    assert full(root / "b").digest() == before


@pytest.mark.parametrize("name", ["config.yaml", "assets/a.txt", "assets/sub/b.bin", "base.txt", "uv.lock"])
def test_the_bytes_of_local_files_change_the_digest(write: Write, name: str) -> None:
    root = write(FILES)
    before, fingerprint = full(root).digest(), full(root).fingerprint()
    with (root / name).open("ab") as file:
        file.write(b"# x\n")

    assert full(root).digest() != before
    assert full(root).fingerprint() == fingerprint


def test_the_right_to_execute_changes_the_digest(write: Write) -> None:
    image = SLIM.add_local_file(write({"run.sh": ""}) / "run.sh", "/run.sh")
    before = image.digest()
    (Path(str(image.context()[0].source))).chmod(0o755)

    assert image.digest() != before


def test_the_source_of_a_baked_resource_changes_the_digest(write: Write) -> None:
    root = write(FILES)
    before = full(root).digest()
    (root / "podcast.py").write_text("def whisper(size):\n    return size * 2\n")

    assert full(root).digest() != before


def test_blanks_at_line_ends_and_other_code_leave_a_baked_resource_alone(write: Write) -> None:
    root = write(FILES)
    before = full(root).digest()
    (root / "podcast.py").write_text("def whisper(size):   \n    return size\n\n\nx = 1\n")

    assert full(root).digest() == before


@pytest.mark.parametrize(("old", "new"), [('"1.2.3"', '"1.2.4"'), ("line-length = 100", "line-length = 90")])
def test_what_does_not_decide_about_packages_does_not_change_the_digest(
    write: Write, old: str, new: str
) -> None:
    root = write(FILES)
    before = full(root).digest()
    for name in ("pyproject.toml", "uv.lock"):
        (root / name).write_text((root / name).read_text().replace(old, new))

    assert full(root).digest() == before


def test_every_layer_remembers_the_line_that_asked_for_it(write: Write) -> None:
    image = (
        Image.debian_slim(python="3.11")  # this line
        .apt_install("git")
        .pip_install("x")
    )
    first = image.layers()[0].place.line

    assert [layer.place.line - first for layer in image.layers()] == [0, 1, 2]
    assert {layer.place.file for layer in image.layers()} == {__file__}


def test_variables_are_literal_but_for_their_own_former_value() -> None:
    image = SLIM.env(A='a "b" $HOME \\', PATH="/x:$PATH:${PATH}:$PATHS:$HOME")

    assert lines_of(image)[1] == r'ENV A="a \"b\" \$HOME \\" PATH="/x:$PATH:${PATH}:\$PATHS:\$HOME"'


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("echo $HOME", "RUN echo $HOME"),
        ("--mount=type=cache,target=/c make", "RUN --mount=type=cache,target=/c make"),
        ("a\nb", r'RUN ["/bin/sh", "-c", "a\nb"]'),
        ("[ -f x ]", 'RUN ["/bin/sh", "-c", "[ -f x ]"]'),
        ("echo \\", r'RUN ["/bin/sh", "-c", "echo \\"]'),
        ("cat <<E", 'RUN ["/bin/sh", "-c", "cat <<E"]'),
    ],
)
def test_a_command_never_becomes_another_instruction(command: str, line: str) -> None:
    assert lines_of(SLIM.run_commands(command))[1:] == [line]


def test_packages_are_quoted_for_the_shell() -> None:
    assert lines_of(SLIM.pip_install("a>1; python_version<'3.12'", " b[c] @ https://x/y "))[1] == (
        f"""RUN {CACHE} {PIP} 'a>1; python_version<'"'"'3.12'"'"'' 'b[c] @ https://x/y'"""
    )


class TestImports:
    def test_an_import_error_is_swallowed_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = SLIM.pip_install("torch")
        for value in (None, SLIM.fingerprint()):
            if value:
                monkeypatch.setenv("FCHAINS_IMAGE", value)
            with image.imports():
                raise ModuleNotFoundError("No module named 'torch'")

    def test_an_import_error_is_raised_in_the_image(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = SLIM.pip_install("torch")
        monkeypatch.setenv("FCHAINS_IMAGE", image.fingerprint())

        with pytest.raises(ModuleNotFoundError, match="torch"), image.imports():
            raise ModuleNotFoundError("No module named 'torch'")

    def test_other_errors_are_raised_everywhere(self) -> None:
        with pytest.raises(OSError, match="libcuda"), SLIM.imports():
            raise OSError("libcuda")

    def test_an_image_knows_itself_where_its_local_files_are_missing(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outside = full(write(FILES)).fingerprint()
        root = write({"inside/podcast.py": "def whisper(size):\n    return size\n"}) / "inside"
        del sys.modules["podcast"]
        monkeypatch.setenv("FCHAINS_IMAGE", outside)

        assert full(root).fingerprint() == outside


def test_a_resource_of_setup_can_be_baked() -> None:
    image = SLIM.run_setup(setup(weights).bind(size="tiny"))

    assert f"fchains.worker.bake {weights.__module__}:weights sha256:" in image.dockerfile()
    assert lines_of(image)[-1].endswith("""'{"size": "tiny"}'""")
