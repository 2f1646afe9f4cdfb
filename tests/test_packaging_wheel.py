import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {"fchains", "fchains_local", "fchains_docker", "fchains_aws"}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    # Nothing of the checkout may help: neither its path nor the environment of this test run.
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(
        command, cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by way of the source distribution, as a release would be."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == TOP_LEVEL
    assert {f"{package}/py.typed" for package in TOP_LEVEL} <= set(names)


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    for base in (ROOT, ROOT / "runners"):
        for package in TOP_LEVEL & {path.name for path in base.iterdir()}:
            files = {
                path.relative_to(base).as_posix() for path in (base / package).rglob("*") if path.is_file()
            }
            assert {file for file in files if "__pycache__" not in file} <= names


def test_an_installed_wheel_runs_an_example(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile", wheel,
        cwd=tmp_path,
    )  # fmt: skip
    script = tmp_path / "hello.py"
    script.write_text((ROOT / "examples" / "hello.py").read_text())

    shown = run(
        python.with_name("fchains"), "run", "hello.py", "--names", '["Ada", "Grace"]',
        cwd=tmp_path, FCHAINS_RUNNER="inline",
    )  # fmt: skip

    assert shown.split() == ['["Hello,', 'Ada!",', '"Hello,', 'Grace!"]']
