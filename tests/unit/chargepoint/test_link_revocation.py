"""The Central System's certificate is asked about once TLS was judged good, before a byte of the upgrade is sent."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import security.revocation
from chargepoint.clock import Clock
from chargepoint.connection import Connection
from chargepoint.failure import ConnectionFailed, Failure
from chargepoint.fetch import fetch
from chargepoint.link import Link, Opening
from chargepoint.setting_table import ConnectionSettings
from chargepoint.simulation.authority import Issued
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.responder import Fault, Responder
from security.event import SecurityEventType
from security.peer_revocation import PeerRevocation, RevocationPolicy
from security.revocation import RevocationCheck
from security.revocation_cache import RevocationCache
from tests.connecting import SETTINGS, Notebook, attempt, serving
from tests.peer import PATIENCE_S, Peer, Talk, Visit, listen, over_tls, reset, upgrading
from tests.roots import successor_of

INVALID_CERTIFICATE = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
SOFT, HARD = RevocationPolicy.SOFT, RevocationPolicy.HARD
DAY = timedelta(days=1)


class World:
    """A CA with its responder, and a Charge Point that asks it."""

    def __init__(self, directory: Path, responder: Responder) -> None:
        self.pki = Pki.create()
        self.responder = responder
        self.responder.serve(self.pki.central_system_root)
        self.issued = self.pki.server_certificate()
        self._directory = directory

    def peer(self, issued: Issued | None = None) -> Peer:
        return Peer(over_tls(serving(issued or self.issued), upgrading))

    async def open(
        self,
        port: int,
        policy: RevocationPolicy = SOFT,
        *,
        settings: ConnectionSettings = SETTINGS,
        clock: Clock | None = None,
        fallback_roots: tuple[bytes, ...] = (),
    ) -> Link:
        revocation = PeerRevocation(RevocationCheck(fetch, RevocationCache(self._directory / "revocation")), policy)
        opening = Opening(settings, static_rsa=True, system_trust_store=False, revocation=revocation)
        roots = (self.pki.root_pem,)
        return await opening.open(attempt(port, roots=roots, fallback_roots=fallback_roots), clock or Clock())

    async def connects(self, port: int, policy: RevocationPolicy = SOFT, *, clock: Clock | None = None) -> None:
        await (await self.open(port, policy, clock=clock)).close()

    async def refuses(self, peer: Peer, policy: RevocationPolicy = SOFT) -> Failure:
        with pytest.raises(ConnectionFailed) as caught:
            await self.open(peer.port, policy)
        visit = peer.visits[-1]
        assert await asyncio.to_thread(visit.over.wait, PATIENCE_S)
        assert visit.received == b""
        return caught.value.failure


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Responder() as responder:
        yield World(tmp_path, responder)


@pytest.mark.parametrize("policy", [SOFT, HARD])
async def test_a_good_certificate_connects_and_is_not_asked_about_again(world: World, policy: RevocationPolicy) -> None:
    with world.peer() as peer:
        await world.connects(peer.port, policy)
        await world.connects(peer.port, policy)
    assert world.responder.questions == ["/0/ocsp"]


@pytest.mark.requirement("A00.FR.309", "A00.FR.310", "A00.FR.413", "A00.FR.414")
@pytest.mark.parametrize("policy", [SOFT, HARD])
async def test_a_revoked_certificate_gets_no_request(world: World, policy: RevocationPolicy) -> None:
    world.pki.revoke(world.issued)
    with world.peer() as peer:
        failure = await world.refuses(peer, policy)
        world.responder.fault = Fault.SILENT
        assert await world.refuses(peer, policy) == failure  # it is remembered
    assert failure.event is INVALID_CERTIFICATE
    assert failure.what.startswith("a certificate of the peer's path is revoked: revoked since ")
    assert "CN=localhost" in failure.peer
    assert world.responder.questions == ["/0/ocsp"]


async def test_a_revoked_intermediate_is_found_by_its_list(world: World) -> None:
    root = world.pki.central_system_root
    world.responder.serve(root, ocsp=False)
    intermediate = world.pki.intermediate()
    world.responder.serve(intermediate)
    issued = world.pki.server_certificate(issuer=intermediate)
    root.revoke(intermediate.certificate)
    with world.peer(issued) as peer:
        assert (await world.refuses(peer)).event is INVALID_CERTIFICATE
    assert sorted(world.responder.questions) == ["/1/crl", "/2/ocsp"]


USELESS = sorted(set(Fault) - {Fault.SILENT, Fault.SLOW})


@pytest.mark.parametrize("fault", USELESS)
async def test_soft_connects_where_nobody_knows(world: World, fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    world.responder.serve(world.pki.central_system_root, crl=False)
    world.responder.fault = fault
    with world.peer(world.pki.server_certificate()) as peer:
        await world.connects(peer.port, SOFT)
    assert "is not known, it is accepted" in caplog.text


@pytest.mark.parametrize("fault", USELESS)
async def test_hard_refuses_where_nobody_knows(world: World, fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    world.responder.serve(world.pki.central_system_root, crl=False)
    world.responder.fault = fault
    with world.peer(world.pki.server_certificate()) as peer:
        failure = await world.refuses(peer, HARD)
    assert failure.what == "it is not known whether the peer's certificate is revoked"
    assert failure.event is INVALID_CERTIFICATE
    assert "is not known: " in caplog.text


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.SLOW])
async def test_a_responder_without_an_end_takes_no_more_than_its_own_time(
    world: World, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security.revocation, "ANSWER_TIMEOUT", timedelta(seconds=0.05))
    world.responder.fault = fault
    # Time enough for nothing but the link itself: what the responder takes is not taken from it.
    with world.peer() as peer:
        link = await world.open(peer.port, SOFT, settings=replace(SETTINGS, open_timeout=timedelta(seconds=2)))
        await link.close()
        assert (await world.refuses(peer, HARD)).event is INVALID_CERTIFICATE


async def test_the_list_is_asked_where_the_responder_is_of_no_use(world: World) -> None:
    world.responder.hashes = frozenset()
    world.pki.revoke(world.issued)
    with world.peer() as peer:
        assert (await world.refuses(peer)).event is INVALID_CERTIFICATE
    assert world.responder.questions == ["/0/ocsp", "/0/ocsp", "/0/crl"]


async def test_a_responder_that_knows_only_sha_256_is_understood(world: World) -> None:
    world.responder.hashes = frozenset({"sha256"})
    with world.peer() as peer:
        await world.connects(peer.port, HARD)
    assert world.responder.questions == ["/0/ocsp", "/0/ocsp"]


async def test_a_certificate_that_names_nobody_connects_without_a_question(world: World) -> None:
    plain = Pki.create()
    world.pki.central_system_root = plain.central_system_root
    with world.peer(plain.server_certificate()) as peer:
        await world.connects(peer.port, HARD)
    assert not world.responder.questions


async def test_a_clock_that_is_not_set_judges_no_answer_by_its_date(world: World) -> None:
    world.responder.fault = Fault.STALE
    with world.peer() as peer:
        await world.connects(peer.port, HARD, clock=Clock(system=lambda: datetime(1970, 1, 1, tzinfo=UTC)))
        assert (await world.refuses(peer, HARD)).event is INVALID_CERTIFICATE


async def test_nobody_is_asked_about_a_peer_that_is_refused_anyway(world: World) -> None:
    with world.peer(world.pki.server_certificate("cs.example.com")) as peer:
        assert "is not for localhost" in (await world.refuses(peer)).what
    assert not world.responder.questions


async def test_the_fallback_root_is_no_way_around_a_revocation(world: World) -> None:
    world.pki.revoke(world.issued)
    old = successor_of(world.pki.central_system_root)
    with world.peer() as peer:
        with pytest.raises(ConnectionFailed):
            await world.open(peer.port, fallback_roots=(old.pem,))
        assert len(peer.visits) == 1


class Asking:
    """A judge who takes as long as the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(PeerRevocation, "judge", self.judge)

    async def judge(self, *_: object) -> None:
        self.begun.set()
        await self.may_end.wait()


@pytest.mark.parametrize("leave", [reset, lambda *_: None], ids=["reset", "end"])
async def test_a_peer_that_leaves_while_it_is_asked_about_is_a_failed_try(
    world: World, leave: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(monkeypatch)
    with Peer(over_tls(serving(world.issued), leave)) as peer:
        opening = asyncio.create_task(world.open(peer.port))
        await asking.begun.wait()
        await asyncio.to_thread(peer.visits[0].over.wait, PATIENCE_S)
        asking.may_end.set()
        with pytest.raises(ConnectionFailed) as caught:
            await opening
    assert "unforeseen" not in caught.value.failure.what
    assert caught.value.failure.event is None


async def test_a_peer_that_speaks_before_it_is_spoken_to_gets_nothing_when_it_is_revoked(world: World) -> None:
    world.pki.revoke(world.issued)

    def eager(visit: Visit, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        listen(visit, connection)

    with Peer(over_tls(serving(world.issued), eager)) as peer:
        await world.refuses(peer)


async def test_a_try_that_is_cut_short_while_asking_leaves_nothing_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(monkeypatch)
    with world.peer() as peer:
        opening = asyncio.create_task(world.open(peer.port))
        await asking.begun.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert await asyncio.to_thread(peer.visits[0].over.wait, PATIENCE_S)
        assert peer.visits[0].received == b""


async def test_a_revoked_certificate_is_one_event_of_an_outage(world: World) -> None:
    world.pki.revoke(world.issued)
    with world.peer() as peer:
        notebook = Notebook([attempt(peer.port, roots=(world.pki.root_pem,))])
        connection = Connection(
            notebook.plan,
            settings=SETTINGS,
            static_rsa=True,
            system_trust_store=False,
            clock=Clock(),
            raise_event=notebook.raise_event,
            revocation=PeerRevocation(RevocationCheck(fetch, RevocationCache(Path("/nonexistent"))), SOFT),
        )
        running = asyncio.create_task(connection.run(notebook.serve))
        await notebook.until(lambda: notebook.plans >= 4)
        running.cancel()
        await asyncio.wait([running])
    assert [kind for kind, _ in notebook.events] == [INVALID_CERTIFICATE]
