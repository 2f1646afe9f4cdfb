"""The supervisor's conversation: messages survive the journey, and nonsense ends it."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from fchains.wire.failures import failure_of
from fchains_local.control import (
    ControlLink,
    Group,
    Message,
    Opened,
    Retired,
    StartFailed,
    Waiting,
    Welcome,
    decode,
    encode,
    failure_from,
    failure_text,
)

MESSAGES: list[Message] = [
    Welcome((Group("transcribe", ("transcribe", "detect"), 0, 2),)),
    Opened("transcribe", "transcribe-0", "/run/a.sock", 3, 4711),
    Retired("transcribe-0", stuck=True),
    Waiting("transcribe", 1.5),
    StartFailed("transcribe", "transcribe-0", "[]", stopped=False),
]


class Ear:
    """Keeps what a link hears."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.closed = asyncio.Event()

    async def link(self, sock: socket.socket) -> ControlLink:
        return await ControlLink.open(sock, self.heard.append, self.closed.set)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    assert decode(line) == message


@pytest.mark.parametrize("line", [b"", b"{}", b'["Unknown"]', b'["Waiting", "a"]', b'["Waiting", "a", "b"]'])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(line)


def test_a_failure_travels_with_its_buffers() -> None:
    error = OSError("the disk is full", b"\x00\xff" * 5000)
    failure = failure_of(error)
    again = failure_from(failure_text(failure))
    assert again.exceptions == failure.exceptions
    assert [bytes(buffer) for buffer in again.buffers] == [bytes(buffer) for buffer in failure.buffers]


async def test_messages_come_in_order_however_the_bytes_are_cut() -> None:
    ours, theirs = socket.socketpair()
    ear = Ear()
    await ear.link(ours)
    data = b"".join(encode(message) for message in MESSAGES)
    with theirs:
        for start in range(0, len(data), 7):
            theirs.send(data[start : start + 7])
            await asyncio.sleep(0)
    await ear.closed.wait()
    assert ear.heard == MESSAGES


async def test_garbage_closes_the_link_after_what_came_before(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair()
    ear = Ear()
    await ear.link(ours)
    with theirs, caplog.at_level(logging.ERROR):
        theirs.send(encode(MESSAGES[0]) + b"\x00garbage\n" + encode(MESSAGES[1]))
        await ear.closed.wait()
    assert ear.heard == MESSAGES[:1]
    assert "a control connection is closed" in caplog.text


async def test_a_message_that_cannot_be_handled_does_not_end_the_conversation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, theirs = socket.socketpair()
    heard: list[Message] = []

    def handle(message: Message) -> None:
        heard.append(message)
        if len(heard) == 1:
            raise RuntimeError("not this one")

    closed = asyncio.Event()
    await ControlLink.open(ours, handle, closed.set)
    with theirs:
        theirs.send(encode(MESSAGES[0]) + encode(MESSAGES[1]))
    await closed.wait()
    assert heard == MESSAGES[:2]
    assert "could not be handled" in caplog.text
