import subprocess
import sys
import tomllib
from pathlib import Path

CONFIG = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = set(CONFIG["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"])


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


def test_importing_fchains_loads_no_heavy_package() -> None:
    loaded = run(
        "import sys, fchains; [getattr(fchains, name) for name in fchains.__all__]; print(*sys.modules)"
    )

    assert HEAVY & set(loaded.split()) == set()


def test_importing_fchains_prints_nothing_and_sets_no_logging_up() -> None:
    assert run("import fchains, logging; print(logging.getLogger().handlers)") == "[]\n"
