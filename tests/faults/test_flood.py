"""Floods on one link: a peer that sends without end costs neither memory nor the turns of the other tasks."""

import asyncio
import itertools
import socket
from contextlib import suppress
from datetime import timedelta

import pytest

from chargepoint.clock import Clock
from chargepoint.link import RECEIVE_BUFFER_BYTES, Link, Opening
from chargepoint.rpc import AnswerMemory, Exchange, LinkLost
from security.profile import SecurityProfile
from tests.connecting import SETTINGS, attempt, serving
from tests.exchange import LIMITS, accept
from tests.peer import PATIENCE_S, Peer, Visit, over_tls, upgrading_then

PING = b"\x89\x7d" + bytes(125)
EMPTY_TEXT = b"\x81\x00"
EMPTY_TEXTS = 200_000


def ping_without_end(visit: Visit, connection: socket.socket) -> None:
    """Have pings answered for ever and read none of the answers."""
    while True:
        connection.sendall(PING * 500)


def say_nothing_often(visit: Visit, connection: socket.socket) -> None:
    """Send the smallest messages that there are, all at once."""
    with suppress(OSError):
        connection.sendall(EMPTY_TEXT * EMPTY_TEXTS)
        connection.recv(1)


async def open_link(port: int, profile: SecurityProfile) -> Link:
    opening = Opening(SETTINGS, static_rsa=True, system_trust_store=False)
    return await opening.open(attempt(port, profile), Clock())


@pytest.mark.parametrize("profile", [SecurityProfile.BASIC, SecurityProfile.TLS_BASIC])
async def test_a_peer_that_is_answered_and_reads_nothing_is_cut_off(
    profile: SecurityProfile, caplog: pytest.LogCaptureFixture
) -> None:
    talk = upgrading_then(ping_without_end)
    with Peer(over_tls(serving(), talk) if profile.needs_tls else talk) as peer:
        link = await open_link(peer.port, profile)
        await asyncio.wait_for(link.wait_lost(), 2 * PATIENCE_S)
    assert "does not read what it has us answer" in caplog.text


async def test_many_small_frames_do_not_keep_the_other_tasks_waiting() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with Peer(upgrading_then(say_nothing_often)) as peer:
        link = await open_link(peer.port, SecurityProfile.BASIC)
        counting = asyncio.create_task(count_turns())
        burst, most, turn = 0, 0, turns
        for _ in range(EMPTY_TEXTS):
            await link.receive()
            burst, turn = (burst + 1 if turn == turns else 0), turns
            most = max(most, burst)
        link.abort("done")
        counting.cancel()
    # Linux doubles the size of a receive buffer; a frame has at least two bytes.
    assert most <= RECEIVE_BUFFER_BYTES


class Torrent:
    """A transport on which messages wait always; then it is lost."""

    def __init__(self, messages: int) -> None:
        self.left = messages

    async def receive(self) -> str | bytes:
        if not self.left:
            raise LinkLost("over")
        self.left -= 1
        return "[]"

    async def send(self, text: str) -> None:
        raise AssertionError("nothing is to be answered")

    async def ping(self, timeout: timedelta) -> bool:
        return True

    async def close(self, code: int, reason: str) -> None:
        self.left = 0


async def test_messages_that_wait_are_not_all_taken_in_at_once() -> None:
    torrent = Torrent(10_000)
    left_at_each_turn = [torrent.left]

    async def look() -> None:
        while torrent.left:
            left_at_each_turn.append(torrent.left)
            await asyncio.sleep(0)
        left_at_each_turn.append(0)

    async def note(event_type: str, tech_info: str | None) -> None:
        pass

    exchange = Exchange(torrent, accept, memory=AnswerMemory(), limits=LIMITS, raise_event=note)
    await asyncio.wait_for(asyncio.gather(look(), exchange.run()), PATIENCE_S)
    steps = [before - after for before, after in itertools.pairwise(left_at_each_turn)]
    assert max(steps) <= 32
