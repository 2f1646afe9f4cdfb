"""The contract of runners: one suite that every runner passes, third-party ones included.

    from fchains.testing.contract import RunnerContract

    class TestMyRunner(RunnerContract):
        @classmethod
        def make_runner(cls) -> MyRunner:
            return MyRunner()

It looks at a runner only through calls, streams and logs, so that it holds for containers and
clouds as well. Tests that need a capability which the runner does not declare are skipped.
"""

from fchains.testing.contract.calling import CallingContract as CallingContract
from fchains.testing.contract.calling import NestingContract as NestingContract
from fchains.testing.contract.failing import FailingContract as FailingContract
from fchains.testing.contract.limits import LimitsContract as LimitsContract
from fchains.testing.contract.limits import LogsContract as LogsContract
from fchains.testing.contract.mapping import BatchingContract as BatchingContract
from fchains.testing.contract.mapping import MappingContract as MappingContract
from fchains.testing.contract.streaming import StreamingContract as StreamingContract


class RunnerContract(
    CallingContract,
    NestingContract,
    FailingContract,
    StreamingContract,
    MappingContract,
    BatchingContract,
    LimitsContract,
    LogsContract,
):
    """Everything that a runner must do; give `make_runner`."""


__all__ = [
    "BatchingContract",
    "CallingContract",
    "FailingContract",
    "LimitsContract",
    "LogsContract",
    "MappingContract",
    "NestingContract",
    "RunnerContract",
    "StreamingContract",
]
