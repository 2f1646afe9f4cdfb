"""Calls, arguments, results and the context they run in."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from fchains.calls.gather import gather
from fchains.calls.runner import Capability
from fchains.errors import (
    FchainsError,
    InvalidArguments,
    InvalidResult,
    NotDeployed,
    NotSupported,
    SetupError,
)
from fchains.testing.contract import chainlets as c
from fchains.testing.contract.base import ContractPart, needs


class CallingContract(ContractPart):
    """What `.remote()` promises."""

    async def test_a_call_gives_the_result_of_sync_and_async_functions(self) -> None:
        assert await c.add.remote(1, 2) == 3
        assert await c.add_async.remote(1, b=2) == 3

    async def test_defaults_apply_as_in_python(self) -> None:
        assert await c.add.remote(1) == 2
        assert await c.add_async.remote(a=1) == 2

    def test_sync_code_waits_with_result(self) -> None:
        assert c.add.remote(1).result() == 2
        assert c.add.remote(1).exception() is None

    def test_calls_work_from_several_event_loops_one_after_another(self) -> None:
        async def once() -> int:
            return await c.add.remote(1)

        assert [asyncio.run(once()) for _ in range(3)] == [2, 2, 2]

    def test_calls_work_from_several_threads(self) -> None:
        results: list[int] = []

        def call(number: int) -> None:
            results.append(c.add.remote(number).result())

        threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == [1, 2, 3, 4]

    async def test_awaiting_a_call_twice_gives_the_same_result(self) -> None:
        call = c.add.remote(1)
        assert (await call, await call) == (2, 2)
        assert call.done()

    async def test_waiting_in_a_running_loop_is_refused_with_the_line_to_write(self) -> None:
        call = c.add.remote(1)
        with pytest.raises(FchainsError, match=r"await call"):
            call.result()
        assert await call == 2

    async def test_wrong_arguments_are_refused_before_anything_is_sent(self) -> None:
        with pytest.raises(TypeError, match="'a'"):
            c.add.remote()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        with pytest.raises(TypeError, match="unknown argument 'c'"):
            c.add.remote(1, c=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        with pytest.raises(TypeError, match="made"):
            c.times_made.remote(made=[])

    async def test_values_of_a_wrong_type_are_invalid_arguments_that_name_the_field(self) -> None:
        with pytest.raises(InvalidArguments, match=r"`?a`?"):
            await c.add.remote("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(InvalidArguments, match=r"values.*1"):
            await c.change_list.remote([1, "x"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]

    async def test_a_result_of_a_wrong_type_is_an_invalid_result(self) -> None:
        with pytest.raises(InvalidResult, match="wrong_result"):
            await c.wrong_result.remote()

    async def test_values_keep_their_types(self) -> None:
        now = datetime.now(UTC)
        sent = ("ä\0", now, c.Color.BLUE, {"x"}, (1, "one"), {1: [1.5, None]})
        got = await c.echo_plain.remote(*sent, extra={"k": [1, None]})
        assert got == (*sent, "a", {"k": [1, None]})
        assert [type(value) for value in got[:6]] == [type(value) for value in sent]
        assert await c.echo_point.remote(c.Point(1.0, 2.0)) == c.Point(1.0, 2.0)

    async def test_structurally_equal_classes_and_subclasses_arrive_as_themselves(self) -> None:
        for animal in (c.Animal(name="a"), c.Cat(name="a")):
            assert type(await c.echo_animal.remote(animal)) is type(animal)
        dog = await c.echo_base.remote(c.Dog(name="d", good=False))
        assert isinstance(dog, c.Dog)
        assert not dog.good

    async def test_arguments_arrive_as_copies(self) -> None:
        mine = [1]
        assert await c.change_list.remote(mine) == [1, 0]
        assert mine == [1]

    async def test_bytes_of_any_value_and_of_a_megabyte_pass_unchanged(self) -> None:
        data = bytes(range(256)) * 4096
        assert await c.echo_bytes.remote(data) == data

    async def test_code_knows_its_chainlet_and_its_replica(self) -> None:
        deployed, called, replica = await c.where_am_i.remote()
        assert deployed == called == "where_am_i"
        assert replica

    async def test_a_declared_secret_is_read_and_any_other_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(FchainsError, match="does not declare"):
            await c.read_secret.remote("OTHER")
        with pytest.raises(FchainsError, match="has no value"):
            await c.read_secret.remote("FCHAINS_CONTRACT_SECRET")

    @needs(Capability.REPLICAS)
    async def test_resources_are_made_once_for_many_calls(self) -> None:
        first = await c.times_made.remote()
        assert await gather(*(c.times_made.remote() for _ in range(3))) == (first + 1, first + 2, first + 3)

    async def test_a_setup_that_fails_fails_every_waiting_call_with_its_cause(self) -> None:
        calls = [c.needs_broken.remote() for _ in range(3)]
        for call in calls:
            with pytest.raises(SetupError, match="broken") as caught:
                await call
            assert isinstance(caught.value.__cause__, ValueError)


class NestingContract(ContractPart):
    """Chainlets that call chainlets."""

    @needs(Capability.NESTING)
    async def test_calls_fan_out_and_come_back_in_order(self) -> None:
        assert await c.fan_out.remote(list(range(20))) == list(range(1, 21))

    @needs(Capability.NESTING)
    async def test_recursion_with_one_slot_does_not_deadlock(self) -> None:
        assert await c.fib.remote(8) == 21

    @needs(Capability.NESTING)
    async def test_mutual_recursion_with_one_slot_each_does_not_deadlock(self) -> None:
        assert await c.ping.remote(12) == 12

    @needs(Capability.REPLICAS, Capability.NESTING)
    async def test_endless_recursion_ends_with_an_error_that_names_the_cycle(self) -> None:
        with pytest.raises(RecursionError, match="bottomless → bottomless"):
            await c.bottomless.remote()

    @needs(Capability.NESTING)
    async def test_one_trace_runs_through_all_hops(self) -> None:
        above, below = await c.trace_below.remote()
        assert above == below

    @needs(Capability.NESTING)
    async def test_what_no_code_of_the_chain_names_is_not_deployed(self) -> None:
        with pytest.raises(NotDeployed, match=r"calls=\[unseen\]"):
            await c.call_unseen.remote("unseen")

    @needs(Capability.NESTING)
    async def test_a_plain_call_that_would_load_resources_elsewhere_is_refused(self) -> None:
        with pytest.raises(NotSupported, match=r"times_made\.remote"):
            await c.call_plain.remote()
