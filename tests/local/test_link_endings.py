"""How links end: cleanly, by garbage, by failure, by being closed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator

import pytest

from fchains.wire.frames import Frame, Kind, ProtocolError, encode, hello
from tests.local.ends import Ends, Peer, frame, until
from tests.local.kernels import Failing


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Ends() as made:
        yield made


async def test_a_peer_that_ends_between_frames_ends_the_link_cleanly(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1), frame(2))
    peer.read()
    peer.sock.close()
    assert await end.lost() == ""
    assert end.calls == [1, 2]
    assert end.link.closed
    end.link.send(frame(3))
    end.link.close()
    assert end.link.backlog == 0


async def test_a_peer_that_ends_within_a_frame_is_no_clean_end(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1))
    peer.sock.send(bytes(encode(frame(2, b"body"))[0])[:-1])
    peer.read()
    peer.sock.close()
    assert await end.lost() == "garbage: the connection ended 19 bytes into a frame"
    assert end.calls == [1]


GARBAGE = {
    "noise": b"GET / HTTP/1.1\r\n\r\n" * 3,
    "a second HELLO": bytes(encode(hello(b'{"pid": 1, "segments": null}'))[0]),
    "MAPPED": bytes(encode(Frame(Kind.MAPPED))[0]),
    "RELEASE": bytes(encode(Frame(Kind.RELEASE, 1))[0]),
    "WITHDRAW": bytes(encode(Frame(Kind.WITHDRAW, 1))[0]),
    "SEGMENT": bytes(encode(Frame(Kind.SEGMENT, head=b"[]"))[0]),
}


@pytest.mark.parametrize("noise", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_closes_the_link_once_after_the_frames_before_it(ends: Ends, noise: bytes) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1), frame(2))
    peer.sock.send(noise)
    assert (await end.lost()).startswith("garbage: ")
    assert end.calls == [1, 2]
    await until(peer.heard_end)


@pytest.mark.parametrize(
    "head", [b"", b"{}", b"[]", b'{"pid": "1", "segments": null}', b'{"pid": 0}', b"\xff"]
)
async def test_a_hello_that_says_something_else_closes_the_link(ends: Ends, head: bytes) -> None:
    end, peer = ends.peer()
    peer.say(hello(head), frame(1))
    assert "HELLO came with a bad head" in await end.lost()
    assert end.calls == []


async def test_a_connection_that_does_not_begin_with_hello_is_closed(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.say(frame(1))
    assert await end.lost() == "garbage: the connection began with ITEM instead of HELLO"


async def test_a_receiver_that_finds_a_frame_wrong_closes_the_link(ends: Ends) -> None:
    one, other = ends.pair()

    def refuse(each: Frame) -> None:
        if each.call == 2:
            raise ProtocolError("no such call")
        other.frames.append(each)

    other.on_frame = refuse
    for number in (1, 2, 3):
        one.link.send(frame(number))
    assert await other.lost() == "garbage: no such call"
    assert other.calls == [1]
    assert await one.lost() == ""


async def test_a_receiver_that_fails_closes_its_link_and_no_other(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = ends.pair()

    def fail(_: Frame) -> None:
        raise KeyError("nothing")

    other.on_frame = fail
    good, better = ends.pair()
    with caplog.at_level(logging.ERROR, "fchains_local.link"):
        one.link.send(frame(1))
        assert "KeyError('nothing')" in await other.lost()
    assert "could not be handled" in caplog.text
    good.link.send(frame(2))
    await better.has(1)


async def test_what_the_peer_said_before_it_went_is_heard_though_writing_fails(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1), frame(2))
    peer.sock.close()
    end.link.send(frame(9))
    end.link.send(frame(9))
    await end.lost()
    assert end.calls == [1, 2]


async def test_a_peer_that_closes_with_frames_unread_is_a_loss(ends: Ends) -> None:
    end, peer = ends.peer()
    peer.greet()
    peer.say(frame(1))
    end.link.send(frame(2))
    await until(lambda: end.frames)
    peer.sock.close()
    assert "reset" in await end.lost()


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ECONNRESET, errno.EBADF, errno.ENOBUFS])
async def test_a_failing_socket_is_lost_with_the_words_of_the_system(ends: Ends, code: int) -> None:
    end, peer, sock = ends.peer_over(Failing)
    peer.greet()
    await asyncio.sleep(0)
    sock.error = OSError(code, "failed")
    end.link.send(frame(1))
    assert end.reasons == []
    assert await end.lost()
    assert end.link.closed
    end.link.send(frame(2))


async def test_a_link_over_a_dead_socket_is_lost_on_the_loop_and_not_while_it_is_made(ends: Ends) -> None:
    left, right = socket.socketpair()
    right.close()
    end = ends.end(left)
    assert end.reasons == []
    assert await end.lost() == ""


async def test_closing_writes_what_is_left_and_tells_nobody(ends: Ends) -> None:
    one, other = ends.pair()
    for number in range(100):
        one.link.send(frame(number))
    one.link.close()
    one.link.close()
    assert one.link.closed
    await other.lost()
    assert other.calls == [*range(100)]
    assert one.reasons == []


async def test_closing_does_not_wait_for_a_peer_that_does_not_read(ends: Ends) -> None:
    end, peer = ends.peer()
    end.link.send(frame(1, bytes(20_000_000)))
    end.link.send(frame(2))
    end.link.close()
    assert end.link.backlog == 0
    assert peer.read() < 20_000_000
    await until(peer.heard_end)


async def test_a_link_closed_while_it_hands_on_frames_hands_on_no_more(ends: Ends) -> None:
    one, other = ends.pair()

    def close(each: Frame) -> None:
        other.frames.append(each)
        other.link.close()

    other.on_frame = close
    for number in range(5):
        one.link.send(frame(number))
    assert await one.lost() in ("", "Connection reset by peer")
    assert other.calls == [0]
    assert other.reasons == []


def test_a_link_whose_loop_is_closed_closes_quietly() -> None:
    left, right = socket.socketpair()
    with contextlib.closing(right):

        async def make(ends: Ends) -> None:
            end = ends.end(left)
            end.link.send(frame(1))
            end.link.send(frame(2))

        ends = Ends()
        asyncio.run(make(ends))
        with ends:
            pass
        assert Peer(right).read()
