import asyncio
import gc
import logging
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargepoint.attempt import Attempt
from chargepoint.backoff import MAX_STEADY_RETRIES
from chargepoint.clock import Clock
from chargepoint.connection import ConnectionState
from chargepoint.failure import ConnectionFailed, Failure
from chargepoint.link import Link
from chargepoint.simulation.pki import Pki
from security.event import SecurityEventType
from security.profile import SecurityProfile
from tests.connecting import PKI, SETTINGS, Notebook, attempt, connection_of, running, serving
from tests.peer import PATIENCE_S, Peer, Visit, answering, listen, over_tls, reset, upgrading, upgrading_then

BASIC, TLS_BASIC = SecurityProfile.BASIC, SecurityProfile.TLS_BASIC
INVALID_CERTIFICATE = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
PATIENT = replace(
    SETTINGS,
    retry_first=timedelta(hours=1),
    retry_initial=timedelta(hours=1),
    retry_max=timedelta(hours=1),
    retry_jitter=0.0,
)


async def over(visit: Visit) -> None:
    assert await asyncio.to_thread(visit.over.wait, PATIENCE_S)


async def test_comes_back_after_a_refusal_and_after_a_loss() -> None:
    stranger = over_tls(serving(Pki.create().server_certificate()))
    with Peer(stranger) as peer:
        notebook = Notebook([attempt(peer.port)])
        async with running(notebook) as connection:
            await notebook.until(lambda: notebook.plans == 3)
            peer.talk = over_tls(serving(), upgrading)
            await notebook.until(lambda: len(notebook.links) == 1)
            assert connection.status()["state"] == "connected"
            peer.drop()
            await notebook.until(lambda: len(notebook.links) == 2)


async def test_may_be_cut_short_while_the_end_of_a_try_is_told() -> None:
    with Peer(over_tls(serving(Pki.create().server_certificate()))) as peer:
        notebook = Notebook([attempt(peer.port)])

        async def raise_event(kind: str, tech_info: str | None) -> None:
            connection.down()
            await notebook.raise_event(kind, tech_info)

        connection = connection_of(notebook)
        connection._raise_event = raise_event
        task = asyncio.create_task(connection.run(notebook.serve))
        await notebook.until(lambda: len(notebook.events) == 1)
        await connection.wait_for(ConnectionState.DOWN)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert notebook.plans == 1


async def test_one_event_per_cause_and_outage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="chargepoint.connection")
    good = over_tls(serving(), upgrading)
    with Peer(over_tls(serving(PKI.server_certificate("cs.example.com")))) as peer:
        notebook = Notebook([attempt(peer.port)])
        async with running(notebook) as connection:
            for outage in (1, 2):
                tries = notebook.plans
                await notebook.until(lambda tries=tries: notebook.plans >= tries + 4)  # type: ignore[misc]
                peer.talk = over_tls(serving(Pki.create().server_certificate()))
                await notebook.until(lambda outage=outage: len(notebook.events) == 2 * outage)  # type: ignore[misc]
                peer.talk = good
                await notebook.until(lambda outage=outage: len(notebook.links) == outage)  # type: ignore[misc]
                assert connection.status()["attempts"] == 0
                peer.talk = over_tls(serving(PKI.server_certificate("cs.example.com")))
                peer.drop()
    assert {kind for kind, _ in notebook.events} == {INVALID_CERTIFICATE}
    assert "is not for localhost" in str(notebook.events[0][1])
    assert "unable to get local issuer" in str(notebook.events[1][1])
    summaries = [line for line in caplog.messages if line.startswith("the outage is over after")]
    assert len(summaries) == 2
    assert "x the peer's certificate is not for localhost" in summaries[0]


async def test_each_failed_try_is_one_line_and_the_status_tells_the_last(caplog: pytest.LogCaptureFixture) -> None:
    with Peer(answering("401 Unauthorized")) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook, PATIENT) as connection:
            await notebook.until(lambda: len(notebook.events) == 1)
            status = connection.status()
    assert notebook.events[0][0] == "FailedToAuthenticateAtCentralSystem"
    [line] = [record for record in caplog.records if record.name == "chargepoint.connection"]
    assert line.levelname == "WARNING"
    assert "HTTP 401" in line.getMessage()
    assert "compare identity and AuthorizationKey" in line.getMessage()
    assert status["attempts"] == 1
    assert status["last_failure"]["event"] == "FailedToAuthenticateAtCentralSystem"
    assert "HTTP 401" in status["last_failure"]["what"]
    assert (status["security_profile"], status["url"]) == (1, f"ws://localhost:{peer.port}/ocpp/CP001")


@pytest.mark.parametrize("lacking", [{"authorization_key": None}, {"roots": ()}, {"url": "ws://localhost:1"}])
async def test_never_tries_a_weaker_profile_for_want_of_a_piece(lacking: dict[str, Any]) -> None:
    with Peer(listen) as peer:
        notebook = Notebook([replace(attempt(peer.port), **lacking)])
        async with running(notebook) as connection:
            await notebook.until(lambda: notebook.plans == MAX_STEADY_RETRIES + 3)
            assert connection.status()["last_failure"]["advice"]
    assert not peer.visits
    assert not notebook.events


async def test_a_plan_that_fails_is_a_failed_try() -> None:
    notebook = Notebook([attempt(1)])
    whole, failures = notebook.plan, [ConnectionFailed(Failure("no profile", "look")), OSError(5, "disk")]

    async def plan() -> Attempt:
        await whole()
        raise failures[notebook.plans % 2]

    notebook.plan = plan  # type: ignore[method-assign]
    async with running(notebook) as connection:
        await notebook.until(lambda: notebook.plans == 4)
        assert connection.status()["last_failure"]["what"] in ("no profile", "the network failed (Input/output error)")


async def test_reconnect_settles_closes_and_comes_back_at_once_with_a_new_plan() -> None:
    settled = asyncio.Event()
    with Peer(upgrading) as first, Peer(upgrading) as second:
        notebook = Notebook([attempt(first.port, BASIC), attempt(second.port, BASIC)])
        async with running(notebook, PATIENT) as connection:
            await notebook.until(lambda: len(notebook.links) == 1)

            async def settle() -> None:
                settled.set()

            notebook.links[0].settle = settle
            connection.reconnect("new password")
            await notebook.until(lambda: len(notebook.links) == 2)
        await over(first.visits[0])
        assert settled.is_set()
        assert notebook.ended[0] == "closed: new password"
        assert len(second.visits) == 1


async def test_reconnect_does_not_wait_for_ever_for_owed_answers() -> None:
    with Peer(upgrading) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook, PATIENT) as connection:
            await notebook.until(lambda: len(notebook.links) == 1)
            notebook.links[0].settle = asyncio.Event().wait  # type: ignore[assignment]
            connection.reconnect("new password")
            await notebook.until(lambda: len(notebook.links) == 2)


async def test_reconnect_cuts_a_wait_short() -> None:
    with Peer(answering("503 Busy")) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook, PATIENT) as connection:
            await connection.wait_for(ConnectionState.WAITING)
            peer.talk = upgrading
            connection.reconnect("new root")
            await notebook.until(lambda: len(notebook.links) == 1)


async def test_reconnect_cuts_a_try_short_that_hangs() -> None:
    with Peer(listen) as silent, Peer(upgrading) as peer:
        notebook = Notebook([attempt(silent.port, BASIC), attempt(peer.port, BASIC)])
        async with running(notebook, replace(PATIENT, open_timeout=timedelta(hours=1))) as connection:
            await notebook.until(lambda: notebook.plans == 1)
            connection.reconnect("new profile")
            await notebook.until(lambda: len(notebook.links) == 1)


async def test_down_stays_away_until_up() -> None:
    with Peer(upgrading) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook, PATIENT) as connection:
            await notebook.until(lambda: len(notebook.links) == 1)
            connection.down()
            await connection.wait_unlinked()
            assert connection.status()["state"] == "down"
            assert notebook.ended == ["closed: ordered by a local command"]
            await over(peer.visits[0])
            connection.reconnect("nobody comes back for this")
            assert len(peer.visits) == 1
            connection.up()
            connection.up()
            await notebook.until(lambda: len(notebook.links) == 2)
        assert connection.status()["state"] == "down"


async def test_down_ends_a_try_that_hangs() -> None:
    with Peer(listen) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook, replace(PATIENT, open_timeout=timedelta(hours=1))) as connection:
            await notebook.until(lambda: notebook.plans == 1)
            connection.down()
            await connection.wait_for(ConnectionState.DOWN)
            if peer.visits:
                await over(peer.visits[0])
        assert not notebook.links


async def test_waits_between_tries_and_says_until_when() -> None:
    with Peer(answering("503 Busy")) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        now = datetime(2027, 1, 1, tzinfo=UTC)

        async with running(notebook, PATIENT, Clock(system=lambda: now)) as connection:
            await connection.wait_for(ConnectionState.WAITING)
            assert connection.status()["since"] == "2027-01-01T00:00:00.000Z"
            assert connection.status()["next_try_at"] == "2027-01-01T01:00:00.000Z"
            assert notebook.plans == 1


async def test_a_peer_that_upgrades_and_hangs_up_makes_the_waits_grow() -> None:
    settings = replace(PATIENT, retry_first=timedelta())
    with Peer(upgrading_then(reset)) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook, settings) as connection:
            await connection.wait_for(ConnectionState.WAITING)
            await notebook.until(lambda: len(notebook.ended) == MAX_STEADY_RETRIES)
            await connection.wait_for(ConnectionState.WAITING)
            assert len(notebook.links) == MAX_STEADY_RETRIES


async def test_a_link_that_brought_a_message_is_good_however_short() -> None:
    settings = replace(PATIENT, retry_first=timedelta())
    message = b"\x81\x02[]"

    def talk(_: Visit, connection: socket.socket) -> None:
        connection.sendall(message)

    with Peer(upgrading_then(talk)) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook, settings):
            await notebook.until(lambda: len(notebook.ended) == 3 * MAX_STEADY_RETRIES)


async def test_the_ping_interval_is_live() -> None:
    with Peer(upgrading) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook, replace(PATIENT, ping_timeout=timedelta(seconds=5))) as connection:
            connection.set_ping_interval(timedelta(hours=1))
            await notebook.until(lambda: len(notebook.links) == 1)
            assert peer.visits[0].pings == 0
            pinged = watch_pings(notebook.links[0])
            connection.set_ping_interval(timedelta(milliseconds=1))
            assert [await pinged.get() for _ in range(3)] == [True] * 3
            connection.set_ping_interval(timedelta())
        assert peer.visits[0].pings >= 3


async def test_a_peer_without_pongs_loses_the_link() -> None:
    with Peer(upgrading_then(listen)) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook) as connection:
            connection.set_ping_interval(timedelta(milliseconds=1))
            await notebook.until(lambda: len(notebook.links) == 2)
    assert notebook.ended[0] == "no pong within 0.2 s"


async def test_without_an_interval_nobody_pings() -> None:
    with Peer(upgrading) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook) as connection:
            connection.set_ping_interval(None)
            await notebook.until(lambda: len(notebook.links) == 1)
            await notebook.links[0].send("echo")
        assert peer.visits[0].pings == 0


async def test_cancelling_closes_the_socket_at_once() -> None:
    with Peer(upgrading_then(listen)) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook) as connection:
            await notebook.until(lambda: len(notebook.links) == 1)
        await over(peer.visits[0])
        await connection.wait_for(ConnectionState.DOWN)
        assert connection.status()["state"] == "down"


async def test_an_error_of_whoever_serves_the_link_ends_the_connection() -> None:
    async def serve(_: Link) -> None:
        raise RuntimeError("a fault of ours")

    with Peer(upgrading) as peer:
        connection = connection_of(Notebook([attempt(peer.port, BASIC)]))
        with pytest.raises(RuntimeError, match="a fault of ours"):
            await connection.run(serve)
        await over(peer.visits[0])


async def test_whoever_is_done_with_a_link_gets_another() -> None:
    served = asyncio.Queue[Link]()

    with Peer(upgrading) as peer:
        connection = connection_of(Notebook([attempt(peer.port, BASIC)]))
        task = asyncio.create_task(connection.run(served.put))
        assert await served.get() is not await served.get()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["refused", "stranger", "401"])
async def test_a_thousand_failed_tries_leave_nothing_behind(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="chargepoint")  # pytest keeps every record
    stranger = over_tls(serving(Pki.create().server_certificate()))
    with Peer({"401": answering("401 Unauthorized")}.get(kind, stranger)) as peer:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1] if kind == "refused" else peer.port
        notebook = Notebook([attempt(port, BASIC if kind == "401" else TLS_BASIC, host="localhost")])
        async with running(notebook, replace(SETTINGS, retry_first=timedelta(), retry_max=timedelta())):
            await notebook.until(lambda: notebook.plans > 100, 50)
            before = footprint(peer)
            await notebook.until(lambda: notebook.plans > 1100, 100)
            after = footprint(peer)
    assert after["tasks"] <= before["tasks"] + 1
    assert after["files"] <= before["files"] + 4
    assert after["objects"] <= before["objects"] + 500


def footprint(peer: Peer) -> dict[str, int]:
    """What the process holds; the peer's own notes are forgotten first."""
    peer.forget()
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - nothing is wanted but the number
        "objects": len(gc.get_objects()),
    }


def watch_pings(link: Link) -> "asyncio.Queue[bool]":
    """The result of each ping from now on."""
    results = asyncio.Queue[bool]()
    ping = link.ping

    async def noted(timeout: timedelta) -> bool:
        result = await ping(timeout)
        results.put_nowait(result)
        return result

    link.ping = noted  # type: ignore[method-assign]
    return results


async def test_what_became_of_it_is_noted() -> None:
    with Peer(answering("401 Unauthorized")) as peer:
        notebook = Notebook([attempt(peer.port, BASIC)])
        async with running(notebook) as connection:
            await notebook.until(lambda: notebook.plans == 3)
            peer.talk = upgrading
            await notebook.until(lambda: len(notebook.links) == 1)
            peer.drop()
            await notebook.until(lambda: len(notebook.links) == 2)
    failed, connected, ended, *_ = connection._history.entries()
    assert (failed["what"], failed["times"] >= 2, "HTTP 401" in failed["reason"]) == ("failed", True, True)
    assert (connected["what"], connected["url"]) == ("connected", f"ws://localhost:{peer.port}/ocpp/CP001")
    assert (ended["what"], ended["security_profile"]) == ("ended", 1)
    assert ended["reason"]
