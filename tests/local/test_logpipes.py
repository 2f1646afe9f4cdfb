from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import cast

import pytest

from fchains.worker.logs import Fragment, Owner
from fchains_local.logpipes import RecordWriter
from fchains_local.logreader import LogReader
from fchains_local.logrecords import decode
from tests.local.printers import Printer, forking, run

OWN = Owner("greeting", "greeting-0", "")
ONE = Owner("greet", "greeting-0", "call-1")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the helper forks by sockets of packets")


@pytest.fixture(scope="module")
def forker() -> Iterator[socket.socket]:
    with forking() as sock:
        yield sock


async def test_what_was_written_is_there_though_the_process_is_killed_at_once(forker: socket.socket) -> None:
    printer = await run(
        forker,
        "CALL.set('call-1')\nprint('last')\nprint('words', end='', file=sys.stderr)\n"
        "logging.getLogger('user').warning('logged')\nos.kill(os.getpid(), signal.SIGKILL)",
    )
    assert printer.lines("call-1") == [("stdout", "last"), ("WARNING", "logged"), ("stderr", "words")]


async def test_a_segmentation_fault_shows_where_the_code_was(forker: socket.socket) -> None:
    printer = await run(forker, "print('before')\ndef deep():\n    faulthandler._sigsegv()\ndeep()")
    texts = [text for _, text in printer.lines()]
    assert texts[0] == "before"
    assert "Fatal Python error: Segmentation fault" in texts
    assert any("line 3 in deep" in text for text in texts)


async def test_what_belongs_to_no_call_is_of_the_group_and_the_replica(forker: socket.socket) -> None:
    printer = await run(
        forker, "print('setup')\nCALL.set('call-1')\nprint('call')\nos.write(1, b'from C\\n')"
    )
    owners = {f.text: f.owner for f in printer.fragments if f.text not in ("\n", b"\n")}
    assert owners == {"setup": OWN, "call": ONE, b"from C\n": OWN}


async def test_code_in_c_and_processes_that_it_starts_are_read_from_the_descriptors(
    forker: socket.socket,
) -> None:
    printer = await run(
        forker,
        "CALL.set('call-1')\nos.write(2, b'\\xff from C\\n')\n"
        "subprocess.run(['sh', '-c', 'echo from a shell; printf rest'])\n"
        "print('to the original', file=sys.__stdout__)\nos.kill(os.getpid(), signal.SIGKILL)",
    )
    assert sorted(printer.lines("")) == [
        ("stderr", "\ufffd from C"),
        ("stdout", "from a shell"),
        ("stdout", "restto the original"),
    ]


async def test_threads_print_whole_lines(forker: socket.socket) -> None:
    printer = await run(
        forker,
        "def work(number):\n"
        "    CALL.set(f'call-{number}')\n"
        "    for n in range(100): print(number, n)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()",
    )
    for number in range(4):
        assert printer.lines(f"call-{number}") == [("stdout", f"{number} {n}") for n in range(100)]


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
async def test_a_line_of_a_megabyte_comes_whole(forker: socket.socket, character: str) -> None:
    printer = await run(forker, f"CALL.set('call-1')\nprint({character!r} * 1_000_000)\nprint('end')")
    *pieces, last = [text for _, text in printer.lines("call-1")]
    assert "".join(pieces) == character * 1_000_000
    assert last == "end"


async def test_bytes_need_not_be_text_and_text_need_not_be_unicode(forker: socket.socket) -> None:
    printer = await run(
        forker,
        "CALL.set('call-1')\nsys.stdout.buffer.write(b'gr\\xc3')\n"
        "sys.stdout.buffer.write(b'\\xbcn \\xff\\n')\nprint('file\\udcff')",
    )
    assert printer.lines("call-1") == [("stdout", "grün \ufffd"), ("stdout", "file?")]


async def test_replicas_do_not_mix(forker: socket.socket) -> None:
    code = "CALL.set('call')\nfor n in range(300): print(REPLICA, n)"
    printers = [Printer(forker, f"greeting-{n}", code) for n in range(3)]
    for printer in printers:
        await printer.ended()
    for printer in printers:
        assert printer.lines("call") == [("stdout", f"{printer.replica} {n}") for n in range(300)]


async def test_a_forked_child_of_user_code_prints_for_the_same_call(forker: socket.socket) -> None:
    printer = await run(
        forker,
        "CALL.set('call-1')\n"
        "context = multiprocessing.get_context('fork')\n"
        "child = context.Process(target=lambda: print('child'))\n"
        "child.start(); child.join(); print('parent', child.exitcode)",
    )
    assert printer.lines("call-1") == [("stdout", "child"), ("stdout", "parent 0")]


async def test_a_begun_line_ends_with_its_call(forker: socket.socket) -> None:
    printer = await run(
        forker,
        "CALL.set('call-1')\nprint('whole')\nlogs.ended('greet', 'call-1')\n"
        "print('begun', end='')\nlogs.ended('greet', 'call-1')\nlogs.ended('greet', 'call-1')",
    )
    assert [fragment.text for fragment in printer.fragments] == ["whole", "\n", "begun", ""]
    assert printer.fragments[-1].ends
    assert printer.fragments[-1].owner == ONE


async def test_records_have_their_level_and_logger_those_of_fchains_too(forker: socket.socket) -> None:
    printer = await run(
        forker,
        "logging.getLogger('user').error('theirs')\n"
        "logging.getLogger('fchains.worker').warning('ours')\nlogging.getLogger('user').info('low')",
    )
    assert [(f.stream, f.logger, f.text) for f in printer.fragments] == [
        ("ERROR", "user", "theirs"),
        ("WARNING", "fchains.worker", "ours"),
    ]


async def test_interrupts_leave_no_lock_behind(forker: socket.socket) -> None:
    printer = await run(
        forker,
        "import ctypes\n"
        "class Stop(BaseException): pass\n"
        "def work():\n"
        "    CALL.set('call-1')\n"
        "    while stops < 300:\n"
        "        try:\n"
        "            while stops < 300: print('x' * 50); logging.getLogger('user').warning('y')\n"
        "        except Stop: pass\n"
        "stops = 0\n"
        "thread = threading.Thread(target=work, daemon=True); thread.start()\n"
        "for stops in range(301):\n"
        "    ctypes.pythonapi.PyThreadState_SetAsyncExc("
        "ctypes.c_ulong(thread.ident), ctypes.py_object(Stop))\n"
        "    if stops % 10 == 0: threading.Event().wait(0.0001)\n"
        "thread.join(10)\n"
        "print('still here', thread.is_alive())",
    )
    assert printer.lines("")[-1] == ("stdout", "still here False")
    assert {text.strip("x\n") for text in (f.text for f in printer.fragments) if isinstance(text, str)} <= {
        "",
        "y",
        "still here",
        " ",
        "False",
    }


async def test_whoever_prints_does_not_notice_that_nobody_reads(forker: socket.socket) -> None:
    printer = Printer(
        forker,
        "greeting-0",
        "broken = select.poll(); broken.register(1, 0); broken.poll()\n"
        "print('nobody')\nos.write(LIFE, b'went on')",
    )
    await printer.reader.drain_and_close()
    assert await printer.ended() == b"went on"


class Reading:
    """A reader in this process, with the ends that a worker would have."""

    def __init__(self) -> None:
        records, self.records = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        out, self.out = os.pipe()
        err, its_err = os.pipe()
        os.close(its_err)
        loop = asyncio.get_running_loop()
        self.read: list[Fragment] = []
        self.more = asyncio.Event()
        self.reader = LogReader(loop, records, out, err, "greeting", "greeting-0", self._take)

    @property
    def texts(self) -> list[str | bytes]:
        return [fragment.text for fragment in self.read]

    async def until(self, number: int) -> None:
        """Wait for so many fragments."""
        async with asyncio.timeout(10):
            while len(self.read) < number:
                self.more.clear()
                await self.more.wait()

    async def aclose(self) -> None:
        await self.reader.drain_and_close()
        self.records.close()
        os.close(self.out)

    def _take(self, fragments: Sequence[Fragment]) -> None:
        self.read.extend(fragments)
        self.more.set()


@pytest.fixture
async def reading() -> AsyncIterator[Reading]:
    reading = Reading()
    yield reading
    await reading.aclose()


async def test_a_pipe_that_another_process_keeps_open_ends_with_the_worker(reading: Reading) -> None:
    os.write(reading.out, b"last")
    await asyncio.wait_for(reading.reader.drain_and_close(), 10)
    assert reading.texts == [b"last"]
    with pytest.raises(BrokenPipeError):
        os.write(reading.out, b"too late")


async def test_a_reader_that_pauses_reads_on_later(reading: Reading) -> None:
    reading.reader.pause()
    RecordWriter(reading.records, OWN).write(Fragment(ONE, "stdout", "held"))
    os.write(reading.out, b"too")
    for _ in range(5):
        await asyncio.sleep(0)
    assert reading.read == []
    reading.reader.resume()
    await reading.until(2)
    assert set(reading.texts) == {"held", b"too"}


async def test_what_is_held_by_a_pause_is_read_at_the_end(reading: Reading) -> None:
    reading.reader.pause()
    RecordWriter(reading.records, OWN).write(Fragment(ONE, "stdout", "held"))
    await reading.reader.drain_and_close()
    assert reading.texts == ["held"]


async def test_garbage_on_the_socket_is_passed_over(reading: Reading) -> None:
    for garbage in (b"", b"garbage", b"t\0no number\0a\0b\0c\0d\0e", b"x\0001\0a\0b\0c\0d\0e", b"\xff" * 99):
        reading.records.send(garbage)
    RecordWriter(reading.records, OWN).write(Fragment(ONE, "stdout", "fine"))
    await reading.until(1)
    assert reading.texts == ["fine"]


async def test_a_writer_waits_for_a_slow_reader_and_nothing_is_lost(reading: Reading) -> None:
    reading.reader.pause()
    writer = RecordWriter(reading.records, OWN)
    texts = [f"{n} " * 1000 for n in range(2000)]

    def write() -> None:
        for text in texts:
            writer.write(Fragment(ONE, "stdout", text))

    thread = threading.Thread(target=write)
    thread.start()
    reading.reader.resume()
    await reading.until(len(texts))
    thread.join(10)
    assert reading.texts == texts


async def test_a_reader_that_does_not_come_back_costs_lines_and_not_the_worker(reading: Reading) -> None:
    reading.reader.pause()
    writer = RecordWriter(reading.records, OWN, patience=0.01)
    for _ in range(100):
        writer.write(Fragment(ONE, "stdout", "x" * 60_000))
    reading.reader.resume()
    await reading.until(1)
    kept = len(reading.read)  # all that there was room for comes at once
    writer.write(Fragment(ONE, "stdout", "back"))
    await reading.until(kept + 2)
    assert reading.texts[-2] == "back"
    assert reading.read[-1].owner == OWN
    assert str(reading.texts[-1]).startswith(f"{100 - kept} writes of greeting-0 are lost")


class _Narrow:
    """A socket that takes small datagrams only, as that of macOS does."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def setblocking(self, flag: bool) -> None: ...

    def setsockopt(self, *option: int) -> None: ...

    def send(self, data: bytes) -> int:
        if len(data) > 5000:
            raise OSError(errno.EMSGSIZE, "too long")
        self.sent.append(data)
        return len(data)


def test_records_get_smaller_where_datagrams_are_small() -> None:
    sock = _Narrow()
    writer = RecordWriter(cast("socket.socket", sock), OWN)
    text = "".join(chr(ord("a") + n % 26) for n in range(100_000))
    writer.write(Fragment(ONE, "stdout", text))
    assert "".join(str(decode(record, "greeting-0").text) for record in sock.sent) == text
