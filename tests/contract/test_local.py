from __future__ import annotations

from fchains.testing.contract import RunnerContract
from fchains_local.runner import LocalRunner


class TestLocal(RunnerContract):
    @classmethod
    def make_runner(cls) -> LocalRunner:
        return LocalRunner()
