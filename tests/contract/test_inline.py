from __future__ import annotations

from fchains.testing.contract import RunnerContract
from fchains.testing.inline import InlineRunner


class TestInline(RunnerContract):
    @classmethod
    def make_runner(cls) -> InlineRunner:
        return InlineRunner()
