"""M05.FR.13: a peer that the new root does not verify is met once more with the fallback root, at once."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.failure import ConnectionFailed
from chargepoint.link import Link, Opening
from chargepoint.simulation.authority import Authority, Issued
from chargepoint.simulation.pki import Pki
from security.event import SecurityEventType
from tests.connecting import PKI, SETTINGS, Notebook, attempt, running, serving
from tests.peer import Peer, Talk, answering, over_tls, reset, upgrading
from tests.roots import successor_of

OLD = PKI.central_system_root
NEW = successor_of(OLD)
INVALID_CERTIFICATE = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE


def replaced(port: int) -> Attempt:
    """An attempt after the new root has taken the place of the old one."""
    return attempt(port, roots=(NEW.pem,), fallback_roots=(OLD.pem,))


def issued_by(root: str, **wrong: object) -> Issued:
    issuer = {"old": OLD, "new": NEW, "stranger": Pki.create().central_system_root}[root]
    return PKI.server_certificate(issuer=issuer, **wrong)  # type: ignore[arg-type]


def der(root: Authority) -> bytes:
    return root.certificate.public_bytes(Encoding.DER)


async def open_link(what: Attempt) -> Link:
    return await Opening(SETTINGS, static_rsa=True, system_trust_store=False).open(what, Clock())


@pytest.mark.requirement("M05.FR.13")
@pytest.mark.parametrize(("root", "visits"), [("new", 1), ("old", 2)])
async def test_the_new_root_is_tried_first_and_then_the_fallback_root(
    root: str, visits: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Peer(over_tls(serving(issued_by(root)), upgrading)) as peer:
        link = await open_link(replaced(peer.port))
        await link.close()
        assert len(peer.visits) == visits
        assert all(visit.received == b"" for visit in peer.visits[:-1])
    assert link.peer is not None
    assert link.peer.root == der(NEW if root == "new" else OLD)
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage().startswith("connected by the fallback root") for record in lines] == [True] * (
        visits - 1
    )


@pytest.mark.requirement("M05.FR.13")
@pytest.mark.parametrize(
    ("issued", "words"),
    [
        (issued_by("stranger"), ["unable to get local issuer", "by the fallback root"]),
        (issued_by("old", common_name="elsewhere"), ["unable to get local issuer", "fallback root: ", "not for"]),
        (issued_by("new", common_name="elsewhere"), ["not for localhost", "by the fallback root"]),
    ],
    ids=["a stranger", "another name below the old root", "another name below the new root"],
)
async def test_a_peer_that_neither_verifies_is_refused_with_both_reasons(issued: Issued, words: list[str]) -> None:
    with Peer(over_tls(serving(issued))) as peer:
        with pytest.raises(ConnectionFailed) as caught:
            await open_link(replaced(peer.port))
        assert len(peer.visits) == 2
        assert all(visit.received == b"" for visit in peer.visits)
    failure = caught.value.failure
    assert failure.event is INVALID_CERTIFICATE
    assert all(word in failure.what for word in words)
    assert "Example CPO" in failure.peer


@pytest.mark.parametrize("talk", [over_tls(serving(issued_by("new")), answering("503 Service Unavailable")), reset])
async def test_any_other_failure_tries_no_other_root(talk: Talk) -> None:
    with Peer(talk) as peer:
        with pytest.raises(ConnectionFailed) as caught:
            await open_link(replaced(peer.port))
        assert len(peer.visits) == 1
    assert caught.value.failure.event is None


async def test_what_fails_under_the_fallback_root_for_another_reason_is_no_invalid_certificate() -> None:
    with Peer(over_tls(serving(issued_by("old")), answering("503 Service Unavailable"))) as peer:
        with pytest.raises(ConnectionFailed) as caught:
            await open_link(replaced(peer.port))
        assert len(peer.visits) == 2
    assert caught.value.failure.event is None
    assert "503" in caught.value.failure.what


async def test_without_a_fallback_root_there_is_one_try() -> None:
    with Peer(over_tls(serving(issued_by("old")))) as peer:
        with pytest.raises(ConnectionFailed):
            await open_link(replace(replaced(peer.port), fallback_roots=()))
        assert len(peer.visits) == 1


@pytest.mark.requirement("M05.FR.12")
async def test_an_expired_fallback_root_does_not_harm_the_new_one() -> None:
    now = datetime.now(UTC)
    expired = Authority.root("Expired", "Example CPO", not_before=now - timedelta(days=9), not_after=now)
    with Peer(over_tls(serving(issued_by("new")), upgrading)) as peer:
        await (await open_link(attempt(peer.port, roots=(NEW.pem,), fallback_roots=(expired.pem,)))).close()
        assert len(peer.visits) == 1


@pytest.mark.requirement("M05.FR.13")
async def test_no_security_event_and_no_wait_where_the_fallback_root_helps() -> None:
    patient = replace(SETTINGS, retry_first=timedelta(hours=1), retry_initial=timedelta(hours=1))
    with Peer(over_tls(serving(issued_by("old")), upgrading)) as peer:
        notebook = Notebook([replaced(peer.port)])
        async with running(notebook, patient) as connection:
            await notebook.until(lambda: len(notebook.links) == 1)
            while_open = connection.root_in_use
        assert (while_open, connection.root_in_use) == (der(OLD), None)
    assert notebook.events == []


@pytest.mark.requirement("M05.FR.13")
async def test_one_security_event_where_neither_helps() -> None:
    with Peer(over_tls(serving(issued_by("stranger")))) as peer:
        notebook = Notebook([replaced(peer.port)])
        async with running(notebook):
            await notebook.until(lambda: notebook.plans >= 3)
    assert [kind for kind, _ in notebook.events] == [INVALID_CERTIFICATE]
