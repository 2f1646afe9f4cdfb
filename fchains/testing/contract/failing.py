"""What callers see of failures."""

from __future__ import annotations

import traceback

import pytest

from fchains.calls.runner import Capability
from fchains.errors import CallTimeout, RemoteError
from fchains.testing.contract import chainlets as c
from fchains.testing.contract.base import ContractPart, needs


class FailingContract(ContractPart):
    """User exceptions at their caller."""

    async def test_an_exception_keeps_class_args_attributes_notes_and_cause(self) -> None:
        with pytest.raises(c.Custom) as caught:
            await c.fail.remote("custom")
        error = caught.value
        assert error.args == ("custom 7",)
        assert (error.code, error.hint) == (7, "look here")
        assert error.__notes__ == ["a note"]
        assert isinstance(error.__cause__, ValueError)
        assert str(error.__cause__) == "the cause"

    async def test_built_in_exceptions_keep_their_message(self) -> None:
        with pytest.raises(KeyError) as caught:
            await c.fail.remote("key")
        assert caught.value.args == ("missing",)

    async def test_the_users_own_timeout_is_not_taken_for_the_machinerys(self) -> None:
        with pytest.raises(TimeoutError) as caught:
            await c.fail.remote("timeout")
        assert not isinstance(caught.value, CallTimeout)

    async def test_a_class_that_cannot_be_looked_up_is_a_remote_error_with_its_name(self) -> None:
        with pytest.raises(RemoteError, match="deep inside") as caught:
            await c.fail_unknown.remote()
        assert "Hidden" in caught.value.type_name

    @pytest.mark.parametrize("kind", ["exit", "interrupt", "stop"])
    async def test_what_python_takes_for_control_flow_is_a_remote_error_and_the_replica_lives(
        self, kind: str
    ) -> None:
        with pytest.raises(RemoteError):
            await c.fail.remote(kind)
        with pytest.raises(RuntimeError, match="still here"):
            await c.fail.remote("still here")

    async def test_the_remote_traceback_shows_the_users_line_and_none_of_ours(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            await c.fail.remote("show me")
        text = "".join(traceback.format_exception(caught.value))
        assert "raise RuntimeError(kind)" in text
        assert "fchains/worker" not in text

    @needs(Capability.NESTING)
    async def test_a_failed_chain_shows_one_trace_through_every_hop(self) -> None:
        with pytest.raises(c.Custom) as caught:
            await c.fail_below.remote("custom")
        text = "".join(traceback.format_exception(caught.value))
        assert text.index("await fail.remote(kind)") < text.index("raise error from ValueError")
        assert text.count("raise error from ValueError") == 1

    async def test_each_retrieval_raises_an_exception_of_its_own(self) -> None:
        call = c.fail.remote("twice")
        errors: list[BaseException] = []
        for _ in range(2):
            with pytest.raises(RuntimeError) as caught:
                await call
            errors.append(caught.value)
        depths = [len(traceback.extract_tb(error.__traceback__)) for error in errors]
        assert depths[0] == depths[1]

    @needs(Capability.LOGS)
    async def test_a_failure_that_nobody_retrieves_is_logged_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        call = c.fail.remote("forgotten")
        while not call.done():
            await c.add.remote(1)
        del call
        assert [r.message for r in caplog.records if "nobody asked" in r.message].__len__() == 1
