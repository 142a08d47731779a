import asyncio
import logging
import select
import socket
import ssl
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.failure import ConnectionFailed, Failure
from chargepoint.link import Link, Opening
from chargepoint.rpc import LinkLost
from chargepoint.setting_table import ConnectionSettings
from chargepoint.simulation.pki import Pki
from security.event import SecurityEventType
from security.profile import SecurityProfile
from tests.connecting import CREDENTIALS, PKI, SETTINGS, attempt, serving
from tests.peer import (
    PATIENCE_S,
    Peer,
    Talk,
    Visit,
    answering,
    greeting,
    listen,
    over_tls,
    reset,
    saying,
    upgrading,
    upgrading_then,
)
from tests.tls_pipe import KeyPair

BASIC, TLS_BASIC, TLS_CERTIFICATE = list(SecurityProfile)[1:]
INVALID_CERTIFICATE = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
NOT_AUTHENTICATED = SecurityEventType.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM
IMPATIENT = replace(SETTINGS, open_timeout=timedelta(seconds=0.3))
DAY = timedelta(days=1)


async def open_link(what: Attempt, settings: ConnectionSettings = SETTINGS, clock: Clock | None = None) -> Link:
    opening = Opening(settings, static_rsa=True, system_trust_store=False)
    return await opening.open(what, clock or Clock())


async def failure(what: Attempt, settings: ConnectionSettings = SETTINGS, clock: Clock | None = None) -> Failure:
    with pytest.raises(ConnectionFailed) as caught:
        await open_link(what, settings, clock)
    return caught.value.failure


async def over(visit: Visit) -> Visit:
    """Wait until the peer is done with a connection."""
    assert await asyncio.to_thread(visit.over.wait, PATIENCE_S)
    return visit


async def test_a_link_carries_messages_both_ways() -> None:
    with Peer(over_tls(serving(), upgrading)) as peer:
        link = await open_link(attempt(peer.port))
        await link.send('[2,"1","Heartbeat",{}]')
        assert await link.receive() == '[2,"1","Heartbeat",{}]'
        assert await link.ping(timedelta(seconds=5))
        assert link.messages == 1
        await link.close(reason="done")
        with pytest.raises(LinkLost, match="closed: done") as caught:
            await link.receive()
        assert not caught.value.invalid_message
        with pytest.raises(LinkLost):
            await link.send("too late")
        assert not await link.ping(timedelta(seconds=5))
        assert await link.wait_lost() == "closed: done"


async def test_a_link_knows_its_peer() -> None:
    with Peer(over_tls(serving(), upgrading)) as peer:
        link = await open_link(attempt(peer.port))
        assert link.peer is not None
        assert link.peer.names == ("localhost",)
        assert (link.profile, link.url) == (TLS_BASIC, f"wss://localhost:{peer.port}/ocpp/CP001")
        await link.close()


async def test_a_plain_link_has_no_peer_and_sends_the_credentials() -> None:
    with Peer(upgrading) as peer:
        link = await open_link(attempt(peer.port, BASIC, host="127.0.0.1"))
        assert link.peer is None
        await link.close()
        request = (await over(peer.visits[0])).received
    assert b"GET /ocpp/CP001 HTTP/1.1" in request
    assert f"Authorization: {CREDENTIALS}".encode() in request
    assert b"Sec-WebSocket-Protocol: ocpp1.6" in request
    assert b"Sec-WebSocket-Extensions" not in request


@pytest.mark.parametrize(
    "wrong",
    [
        {"not_before": datetime.now(UTC) - 9 * DAY, "not_after": datetime.now(UTC) - DAY},
        {"not_before": datetime.now(UTC) + DAY},
        {"host": "cs.example.com"},
        {"common_name": "*.localhost"},
        {"self_signed": True},
        {"issuer": Pki.create().central_system_root},
        {"key": "rsa", "weak_key": True},
    ],
    ids=["expired", "future", "name", "wildcard", "self-signed", "stranger", "weak"],
)
async def test_a_refused_peer_receives_nothing_after_the_handshake(wrong: dict[str, Any]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    PKI.server_certificate(**wrong).load_into(context)
    with Peer(over_tls(context)) as peer:
        reason = await failure(attempt(peer.port))
        visit = await over(peer.visits[0])
    assert visit.received == b""
    assert reason.event is INVALID_CERTIFICATE
    assert reason.advice
    assert "CN=" in reason.peer


async def test_a_peer_behind_a_proxy_is_judged_before_the_upgrade_too() -> None:
    with (
        Peer(over_tls(serving(PKI.server_certificate("cs.example.com")))) as peer,
        Peer(tunnelling(peer.port)) as proxy,
    ):
        settings = replace(SETTINGS, proxy=f"http://127.0.0.1:{proxy.port}")
        reason = await failure(attempt(peer.port), settings)
        visit = await over(peer.visits[0])
    assert visit.received == b""
    assert reason.event is INVALID_CERTIFICATE


def tunnelling(port: int) -> Talk:
    """An HTTP proxy that knows one way."""

    def talk(visit: Visit, connection: socket.socket) -> None:
        visit.received += connection.recv(65_536)
        with socket.create_connection(("127.0.0.1", port)) as onward:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.setblocking(False)
            onward.setblocking(False)
            relay(connection, onward)

    return talk


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until an end closes."""
    while True:
        for readable in select.select([one, other], [], [], PATIENCE_S)[0]:
            if not (data := readable.recv(65_536)):
                return
            (other if readable is one else one).sendall(data)


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "wss_proxy"])
async def test_proxies_of_the_environment_are_ignored(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(over_tls(serving(), upgrading)) as peer, Peer(listen) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        await (await open_link(attempt(peer.port))).close()
        assert not proxy.visits


async def test_proxies_of_the_environment_are_used_where_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    with Peer(answering("407 Proxy Authentication Required")) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        reason = await failure(attempt(1), replace(SETTINGS, proxy="environment"))
    assert "the proxy answered HTTP 407" in reason.what


@pytest.mark.parametrize("status", ["300 Multiple Choices", "301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(status: str) -> None:
    with Peer(listen) as elsewhere:
        location = f"Location: ws://localhost:{elsewhere.port}/ocpp\r\n"
        with Peer(answering(status, location)) as peer:
            reason = await failure(attempt(peer.port, BASIC))
        assert not elsewhere.visits
    assert "redirects" in reason.what
    assert reason.event is None


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("401 Unauthorized", NOT_AUTHENTICATED),
        ("403 Forbidden", NOT_AUTHENTICATED),
        ("404 Not Found", None),
        ("429 Too Many Requests", None),
        ("500 Internal Server Error", None),
        ("503 Service Unavailable", None),
        ("200 OK", None),
    ],
)
async def test_only_401_and_403_say_that_we_are_not_authenticated(status: str, event: SecurityEventType | None) -> None:
    with Peer(over_tls(serving(), answering(status))) as peer:
        reason = await failure(attempt(peer.port))
    assert reason.event is event
    assert f"HTTP {status[:3]}" in reason.what
    assert "CN=localhost" in reason.peer


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (reset, "the network failed|no address|closed"),
        (lambda *_: None, "closed|network failed|no address"),
        (greeting(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "WebSocket server|in time|speak TLS"),
        (saying(b"\x00" * 100), "WebSocket server|closed|TLS"),
        (answering("400 Bad Request"), "HTTP 400|does not speak TLS"),
        (listen, "did not answer in time"),
    ],
    ids=["reset", "EOF", "SSH", "zeros", "plain HTTP", "silence"],
)
@pytest.mark.parametrize("profile", [BASIC, TLS_BASIC])
async def test_what_is_no_central_system_is_no_security_event(talk: Talk, words: str, profile: SecurityProfile) -> None:
    with Peer(talk) as peer:
        reason = await failure(attempt(peer.port, profile), IMPATIENT)
        await over(peer.visits[0])
    assert reason.event is None
    assert any(word in reason.what for word in words.split("|"))


async def test_silence_after_the_tls_handshake_ends_by_the_time_out() -> None:
    with Peer(over_tls(serving())) as peer:
        reason = await failure(attempt(peer.port), IMPATIENT)
        visit = await over(peer.visits[0])
    assert reason.what == "the peer did not answer in time"
    assert CREDENTIALS.encode() in visit.received


async def test_a_port_that_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reason = await failure(attempt(port))
    assert "no address of the Central System" in reason.what or "the network failed" in reason.what
    assert reason.event is None


async def test_a_name_that_nobody_knows() -> None:
    reason = await failure(attempt(443, host="central-system.invalid"))
    assert "cannot be resolved" in reason.what
    assert reason.event is None


@pytest.mark.parametrize("header", ["", "Sec-WebSocket-Protocol: ocpp2.0.1\r\n"])
async def test_a_central_system_that_does_not_agree_to_ocpp_1_6_is_refused(header: str) -> None:
    def talk(visit: Visit, connection: socket.socket) -> None:
        from websockets.utils import accept_key

        visit.received += connection.recv(65_536)
        key = visit.received.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
        answer = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key)}\r\n{header}\r\n"
        )
        connection.sendall(answer.encode())
        listen(visit, connection)

    with Peer(talk) as peer:
        reason = await failure(attempt(peer.port, BASIC))
        await over(peer.visits[0])
    assert "subprotocol" in reason.what
    assert reason.event is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_alert_about_our_certificate_is_found_where_tls_1_3_hides_it(version: ssl.TLSVersion) -> None:
    context = serving()
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=PKI.root_pem.decode())
    with Peer(over_tls(context)) as peer:
        reason = await failure(attempt(peer.port))
    assert reason.event is NOT_AUTHENTICATED


async def test_presents_the_charge_point_certificate_and_no_password_in_profile_3(tmp_path: Path) -> None:
    pair = KeyPair(*PKI.charge_point_certificate("SN-0001").write(tmp_path))
    context = serving()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=PKI.root_pem.decode())
    with Peer(over_tls(context, upgrading)) as peer:
        await (await open_link(attempt(peer.port, TLS_CERTIFICATE, client_certificate=pair))).close()
        visit = await over(peer.visits[0])
    assert visit.handshake_error is None
    assert b"GET /ocpp/CP001" in visit.received
    assert b"Authorization" not in visit.received


async def test_offers_no_certificate_in_profile_2(tmp_path: Path) -> None:
    pair = KeyPair(*PKI.charge_point_certificate("SN-0001").write(tmp_path))
    presented = []
    context = serving()
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=PKI.root_pem.decode())

    def talk(visit: Visit, connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        presented.append(connection.getpeercert())
        upgrading(visit, connection)

    with Peer(over_tls(context, talk)) as peer:
        await (await open_link(attempt(peer.port, client_certificate=pair))).close()
    assert presented == [{}] or presented == [None]


async def test_the_clock_of_the_agent_judges() -> None:
    def later() -> datetime:
        return datetime.now(UTC) + 400 * DAY

    with Peer(over_tls(serving())) as peer:
        reason = await failure(attempt(peer.port), clock=Clock(system=later))
    assert "has expired" in reason.what


@pytest.mark.parametrize("year", [1970, 2070])
async def test_a_clock_that_is_not_set_keeps_nobody_out(year: int) -> None:
    clock = Clock(system=lambda: datetime(year, 1, 1, tzinfo=UTC))
    with Peer(over_tls(serving(), upgrading)) as peer:
        await (await open_link(attempt(peer.port), clock=clock)).close()


@pytest.mark.parametrize(
    ("piece", "nothing", "remedy"),
    [
        ("authorization_key", None, "configure AuthorizationKey=-"),
        ("roots", (), "install FILE --as central-system-root"),
    ],
)
async def test_a_missing_piece_touches_no_network_and_names_the_remedy(
    piece: str, nothing: object, remedy: str
) -> None:
    with Peer(listen) as peer:
        reason = await failure(replace(attempt(peer.port), **{piece: nothing}))  # type: ignore[arg-type]
        assert not peer.visits
    assert "none is" in reason.what
    assert remedy in reason.advice


async def test_a_message_that_is_too_large_ends_the_link_as_invalid() -> None:
    with Peer(upgrading) as peer:
        link = await open_link(attempt(peer.port, BASIC), replace(SETTINGS, max_frame_bytes=100))
        await link.send("x" * 101)
        with pytest.raises(LinkLost) as caught:
            await link.receive()
    assert caught.value.invalid_message


async def test_a_peer_that_breaks_off_is_no_invalid_message() -> None:
    with Peer(upgrading_then(reset)) as peer:
        link = await open_link(attempt(peer.port, BASIC))
        with pytest.raises(LinkLost) as caught:
            await link.receive()
    assert not caught.value.invalid_message


async def test_closing_towards_a_peer_that_reads_nothing_ends() -> None:
    go = threading.Event()

    def deaf(_: Visit, __: socket.socket) -> None:
        go.wait(PATIENCE_S)

    with Peer(upgrading_then(deaf)) as peer:
        link = await open_link(attempt(peer.port, BASIC))
        sending = asyncio.create_task(link.send("x" * 50_000_000))
        await link.close(reason="enough")
        with pytest.raises(LinkLost):
            await sending
        assert await link.wait_lost() == "closed: enough"
        go.set()


async def test_a_peer_that_answers_no_ping_is_noticed() -> None:
    with Peer(upgrading_then(listen)) as peer:
        link = await open_link(attempt(peer.port, BASIC))
        assert not await link.ping(timedelta(seconds=0.05))
        link.abort("no pong")
        assert await link.wait_lost() == "no pong"


async def test_no_logger_ever_sees_the_credentials(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    with Peer(over_tls(serving(), upgrading)) as peer:
        await (await open_link(attempt(peer.port))).close()
    with Peer(answering("401 Unauthorized")) as peer:
        await failure(attempt(peer.port, BASIC))
    assert "Authorization" not in caplog.text
    assert CREDENTIALS.removeprefix("Basic ") not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("websockets")]
