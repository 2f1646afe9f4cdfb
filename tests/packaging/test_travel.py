"""Functions and their code from one interpreter to another that knows nothing of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import Write

REPOSITORY = Path(__file__).parents[2]

SEND = """
import pickle, sys
from pathlib import Path
from fchains.packaging.bundle import Bundle
from fchains.packaging.references import reference_of

def send(functions, target):
    files = {Path(sys.modules[f.__module__].__file__) for f in functions}
    references = [reference_of(f) for f in functions]
    Path(target).write_bytes(pickle.dumps((Bundle.of(sorted(files)).to_bytes(), references)))
"""
RECEIVE = """
import pickle, sys
from pathlib import Path
from fchains.packaging.bundle import Bundle
from fchains.packaging.references import load_function

data, references = pickle.loads(Path(sys.argv[1]).read_bytes())
bundle = Bundle.from_bytes(data)
root = bundle.extract(Path(sys.argv[2]))
sys.path[:0] = [str(root / path) for path in bundle.paths]
for reference in references:
    print(type(reference).__name__, load_function(reference, root)(2))
print(*bundle.files)
"""
SCRIPT = """
from helper import tripled
from pkg.steps import squared
from sending import send

FACTOR = 10

def scaled(x):
    return FACTOR * tripled(x)

def adding(y):
    return lambda x: x + y + FACTOR

added = adding(1)

if __name__ == "__main__":
    import sys

    def late(x):
        return -scaled(x)

    send([scaled, squared, tripled, added, late], sys.argv[1])
"""


@pytest.fixture
def project(write: Write) -> Path:
    return write(
        {
            "project/pyproject.toml": "",
            "project/talk.py": SCRIPT,
            "project/helper.py": "def tripled(x):\n    return 3 * x\n",
            "project/src/pkg/__init__.py": "",
            "project/src/pkg/steps.py": "from .maths import power\ndef squared(x):\n    return power(x, 2)\n",
            "project/src/pkg/maths.py": "power = pow\n",
            "project/sending.py": SEND,
            "receive.py": RECEIVE,
        }
    )


def run(folder: Path, *arguments: str, path: str = "") -> str:
    environment = {"PYTHONPATH": f"{REPOSITORY}:{path}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("start", [["talk.py"], ["-m", "talk"]])
def test_functions_of_every_kind_run_in_a_fresh_interpreter(project: Path, start: list[str]) -> None:
    run(project / "project", *start, "../sent", path=str(project / "project/src"))
    (project / "project").rename(project / "gone")

    assert run(project, "receive.py", "sent", "extracted").splitlines() == [
        "ByMain 60",
        "ByModule 4",
        "ByModule 6",
        "ByValue 13",
        "ByValue -60",
        "helper.py sending.py src/pkg/__init__.py src/pkg/maths.py src/pkg/steps.py talk.py",
    ]
