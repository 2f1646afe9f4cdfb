"""Scripts as users run them: what they define, how they are called, and how they end."""

import re
import sys

import pytest

from tests.local.programs import Programs

pytestmark = pytest.mark.slow

SHOP = """\
    from pydantic import BaseModel
    from fchains import chainlet

    class Order(BaseModel):
        amount: int

    class Express(Order):
        hours: int = 24

    class Refused(Exception):
        def __init__(self, order: Order, *, why: str) -> None:
            super().__init__(why)
            self.amount = order.amount

    FACTOR = 3

    @chainlet
    def price(order: Order) -> Order:
        if order.amount < 0:
            raise Refused(order, why="negative")
        return order.model_copy(update={"amount": order.amount * FACTOR})

    @chainlet
    async def total(orders: list[Order]) -> Order:
        assert {type(order) for order in orders} <= {Order, Express}
        try:
            return Order(amount=sum([(await price.remote(order)).amount for order in orders]))
        except Refused as error:
            error.add_note("seen by total")
            raise
    """


def test_classes_and_chainlets_of_a_script_are_its_own_on_both_sides(programs: Programs) -> None:
    script = f"""{SHOP}
    if __name__ == "__main__":
        express = price.remote(Express(amount=2)).result()
        assert type(express) is Express and (express.amount, express.hours) == (6, 24), express
        assert total.remote([Order(amount=1), Express(amount=2)]).result() == Order(amount=9)
        for call in (price.remote(Order(amount=-1)), total.remote([Order(amount=-1)])):
            error = call.exception()
            assert type(error) is Refused and error.amount == -1 and error.args == ("negative",), error
        assert error.__notes__[0] == "seen by total"
        print("fine")
    """
    program = programs.script(script)
    program.ends_well()
    assert (program.out, program.err) == ("fine\n", "")


NOTEBOOK = """\
from fchains import chainlet, setup, use

class Refused(Exception):
    pass

factor = 3

def helper(x: int) -> int:
    return x * factor

@setup
def one() -> int:
    return 1

@chainlet
def scale(x: int, *, one: int = use(one)) -> int:
    if x < 0:
        raise Refused(x)
    return helper(x) + one

@chainlet
async def twice(x: int) -> int:
    return await scale.remote(await scale.remote(x))

print(twice.remote(2).result())
print(isinstance(scale.remote(-1).exception(), Refused))
"""


@pytest.mark.parametrize("typed", [False, True], ids=["-c", "stdin"])
def test_what_a_program_without_a_file_defines_travels_by_value(programs: Programs, typed: bool) -> None:
    program = programs.python("-", typed=NOTEBOOK) if typed else programs.python("-c", NOTEBOOK)
    program.ends_well()
    assert (program.out, program.err) == ("22\nTrue\n", "")


def test_a_script_without_a_guard_ends_with_an_error_and_not_in_ever_more_processes(
    programs: Programs,
) -> None:
    program = programs.script("""\
        from fchains import chainlet
        from tests.local.journal import say

        say("imported")

        @chainlet
        def double(x: int) -> int:
            return 2 * x

        print(double.remote(1).result())
        """)
    most = 0
    while not (most and not program.processes()):
        most = max(most, len(program.processes()))
    assert program.ends() == 1
    assert program.out == ""
    assert re.search(r"app\.py:10: .* put that under `if __name__ == \"__main__\":`", program.err), (
        program.err
    )
    assert most <= 5, most
    assert program.said.count("imported") <= 5
    assert program.left() == []


def test_a_chain_whose_module_starts_a_thread_is_spawned_and_a_warning_names_it(programs: Programs) -> None:
    programs.module(
        "starter",
        """\
        import threading
        from fchains import chainlet

        alive = threading.Event()
        asked = threading.Event()

        def answer() -> None:
            while True:
                asked.wait()
                alive.set()

        threading.Thread(target=answer, daemon=True).start()

        @chainlet
        def ask(x: int) -> int:
            asked.set()
            assert alive.wait(10)
            return 2 * x
        """,
    )
    program = programs.script("""\
        from starter import ask

        if __name__ == "__main__":
            print(ask.remote(21).result())
        """)
    program.ends_well()
    assert program.out == "42\n"
    assert len(program.err.splitlines()) == 1, program.err
    assert "starter started a thread" in program.err


ENDS = """\
    import sys
    from collections.abc import Iterator
    from fchains import chainlet, setup, use, use_runner
    from tests.local.journal import say

    @setup
    def first() -> Iterator[int]:
        yield 1
        say("first is gone")

    @setup
    def second(*, x: int = use(first)) -> Iterator[int]:
        yield x + 1
        say("second is gone")

    @chainlet
    def double(x: int, *, one: int = use(first), two: int = use(second)) -> int:
        return two * x

    def run() -> None:
        print(double.remote(3).result())
        match sys.argv[1]:
            case "exit":
                sys.exit(3)
            case "error":
                raise ValueError("enough")

    if __name__ == "__main__":
        if sys.argv[2] == "block":
            with use_runner("local"):
                run()
            say("after the block")
        else:
            run()
    """


@pytest.mark.parametrize("where", ["block", "default"])
@pytest.mark.parametrize(("how", "code"), [("end", 0), ("exit", 3), ("error", 1)])
def test_resources_are_torn_down_in_reverse_however_a_program_ends(
    programs: Programs, where: str, how: str, code: int
) -> None:
    program = programs.script(ENDS, how, where)
    assert program.ends() == code
    after = ["after the block"] if (where, how) == ("block", "end") else []
    assert program.said == ["second is gone", "first is gone", *after]
    assert program.out == "6\n"
    assert program.err.count("Traceback") == (how == "error")
    assert program.left() == []


@pytest.mark.parametrize("closed", ["<&- >&-", "<&- >&- 2>&-"], ids=["stdin-stdout", "all"])
def test_a_program_without_standard_streams_works(programs: Programs, closed: str) -> None:
    programs.module(
        "app",
        """\
        from fchains import chainlet
        from tests.local.journal import say

        @chainlet
        def size(data: bytes) -> int:
            print("measuring")
            return len(data)

        @chainlet
        async def twice(data: bytes) -> int:
            return await size.remote(data) + await size.remote(data)

        if __name__ == "__main__":
            say(str(twice.remote(b"x" * 1_000_000).result()))
            say(str(list(size.map([b"", b"x"]))))
        """,
    )
    program = programs.command("sh", "-c", f'exec "$0" app.py {closed}', sys.executable)
    program.ends_well()
    assert program.said == ["2000000", "[0, 1]"]
    assert (program.out, program.err) == ("", "")
