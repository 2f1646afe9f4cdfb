import pytest

import custom_runner
from fchains.testing.contract import RunnerContract


class TestFreshRunner(RunnerContract):
    @classmethod
    def make_runner(cls) -> custom_runner.FreshRunner:
        return custom_runner.FreshRunner()


def test_the_example_prints_both_results(capsys: pytest.CaptureFixture[str]) -> None:
    custom_runner.main()

    assert capsys.readouterr().out == "hello Ada from a twice of whispers\n" * 2
