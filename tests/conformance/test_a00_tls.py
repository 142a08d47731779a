"""A00: what the Charge Point offers, checks and refuses in TLS, alike in profiles 2 and 3."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.client_hello import PAIR_A, PAIR_B, ClientHello, parse
from chargepoint.simulation.pki import Pki
from security.event import SecurityEventType
from tests.connecting import PKI, Notebook, attempt_in, running, serving_in
from tests.peer import PATIENCE_S, Peer, Visit, answering, over_tls, saying, upgrading

NOW, DAY = datetime.now(UTC), timedelta(days=1)
INVALID_CERTIFICATE = SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
ECDHE_RSA = {0xC02F, 0xC030}
OF_TLS_1_3 = {0x1301, 0x1302, 0x1303}
RENEGOTIATION_INFO = 0x00FF  # RFC 5746: no suite, a signal


def both_profiles(of_profile_2: list[str], of_profile_3: list[str]) -> pytest.MarkDecorator:
    """Run in both TLS profiles, each proving its own rows."""
    return pytest.mark.parametrize(
        "profile",
        [
            pytest.param(2, marks=pytest.mark.requirement(*of_profile_2), id="profile 2"),
            pytest.param(3, marks=pytest.mark.requirement(*of_profile_3), id="profile 3"),
        ],
    )


async def refused(profile: int, context: ssl.SSLContext, directory: Path) -> tuple[Visit, Notebook]:
    """Let the Charge Point meet a Central System until it has tried twice, and hand out the first visit."""
    with Peer(over_tls(context)) as peer:
        notebook = Notebook([attempt_in(profile, peer.port, directory)])
        async with running(notebook):
            await notebook.until(lambda: notebook.plans >= 3)
        assert not notebook.links
        assert await asyncio.to_thread(peer.visits[0].over.wait, PATIENCE_S)
        return peer.visits[0], notebook


async def reached(profile: int, context: ssl.SSLContext, directory: Path) -> None:
    """Let the Charge Point meet a Central System that it has to connect to."""
    with Peer(over_tls(context, upgrading)) as peer:
        notebook = Notebook([attempt_in(profile, peer.port, directory)])
        async with running(notebook):
            await notebook.until(lambda: len(notebook.links) == 1)
        assert not notebook.events


async def first_bytes(profile: int, directory: Path) -> bytes:
    """What the Charge Point sends first."""
    with Peer(saying(b"")) as peer:
        notebook = Notebook([attempt_in(profile, peer.port, directory)])
        async with running(notebook):
            await notebook.until(lambda: notebook.plans == 2)
        return peer.visits[0].received


@pytest.mark.parametrize(
    "wrong",
    [
        {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY},
        {"not_before": NOW + DAY},
        {"issuer": Pki.create().central_system_root},
        {"self_signed": True},
        {"issuer": PKI.intermediate(), "chain": "leaf only"},
    ],
    ids=["expired", "not yet valid", "stranger", "self-signed", "no path"],
)
@both_profiles(["A00.FR.307", "A00.FR.309", "A00.FR.310"], ["A00.FR.411", "A00.FR.413", "A00.FR.414"])
async def test_a_bad_certificate_gets_no_request_and_one_event(
    profile: int, wrong: dict[str, Any], tmp_path: Path
) -> None:
    keywords = {name: value for name, value in wrong.items() if name != "chain"}
    issued = PKI.server_certificate(**keywords)
    if "chain" in wrong:
        issued = type(issued)(issued.certificate_pem, issued.key_pem, issued.certificate_pem)
    visit, notebook = await refused(profile, serving_in(profile, issued), tmp_path)
    assert visit.received == b""
    assert [kind for kind, _ in notebook.events] == [INVALID_CERTIFICATE]


@pytest.mark.parametrize(
    "wrong",
    [{"host": "cs.example.com"}, {"common_name": "*.localhost"}, {"common_name": "localhost.example.com"}],
    ids=["another name", "wildcard", "longer name"],
)
@both_profiles(["A00.FR.308"], ["A00.FR.412"])
async def test_another_name_gets_no_request(profile: int, wrong: dict[str, str], tmp_path: Path) -> None:
    visit, notebook = await refused(profile, serving_in(profile, PKI.server_certificate(**wrong)), tmp_path)  # type: ignore[arg-type]
    assert visit.received == b""
    assert [kind for kind, _ in notebook.events] == [INVALID_CERTIFICATE]


@both_profiles(["A00.FR.308"], ["A00.FR.412"])
async def test_the_name_may_stand_in_a_dns_name(profile: int, tmp_path: Path) -> None:
    issued = PKI.server_certificate(common_name="", san=("cs.example.com", "localhost"))
    await reached(profile, serving_in(profile, issued), tmp_path)


@both_profiles(["A00.FR.311"], ["A00.FR.415"])
async def test_the_channel_is_tls_or_there_is_none(profile: int, tmp_path: Path) -> None:
    assert (await first_bytes(profile, tmp_path)).startswith(b"\x16\x03")
    with Peer(answering("101 Switching Protocols", "Upgrade: websocket\r\nConnection: Upgrade\r\n")) as plain:
        notebook = Notebook([attempt_in(profile, plain.port, tmp_path)])
        async with running(notebook):
            await notebook.until(lambda: notebook.plans == 3)
        assert all(b"HTTP" not in visit.received for visit in plain.visits)
    assert not notebook.links


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@both_profiles(["A00.FR.312"], ["A00.FR.416"])
async def test_offers_tls_1_2_and_1_3_only_and_connects_in_either(
    profile: int, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    assert set(offer(await first_bytes(profile, tmp_path)).versions) == {TLS_1_2, TLS_1_3}
    context = serving_in(profile)
    context.minimum_version = context.maximum_version = version
    await reached(profile, context, tmp_path)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@both_profiles(["A00.FR.313", "A00.FR.315"], ["A00.FR.417", "A00.FR.419"])
async def test_a_central_system_that_ends_below_tls_1_2_is_refused(profile: int, tmp_path: Path) -> None:
    context = serving_in(profile)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    visit, notebook = await refused(profile, context, tmp_path)
    assert visit.received == b""
    assert [kind for kind, _ in notebook.events] == [SecurityEventType.INVALID_TLS_VERSION]


@pytest.mark.parametrize(
    ("suite", "key"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "ec"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "ec"),
        ("AES128-GCM-SHA256", "rsa"),
        ("AES256-GCM-SHA384", "rsa"),
    ],
)
@both_profiles(["A00.FR.318"], ["A00.FR.422"])
async def test_both_pairs_of_suites_reach_the_central_system(
    profile: int, suite: str, key: Any, tmp_path: Path
) -> None:
    suites = offer(await first_bytes(profile, tmp_path)).suites
    assert set(suites) >= PAIR_A | PAIR_B
    assert max(suites.index(code) for code in PAIR_A) < min(suites.index(code) for code in PAIR_B)
    context = serving_in(profile, PKI.server_certificate(key=key))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    await reached(profile, context, tmp_path)


@both_profiles(["A00.FR.319"], ["A00.FR.423"])
async def test_offers_no_forbidden_suite(profile: int, tmp_path: Path) -> None:
    suites = set(offer(await first_bytes(profile, tmp_path)).suites)
    assert suites <= PAIR_A | PAIR_B | ECDHE_RSA | OF_TLS_1_3 | {RENEGOTIATION_INFO}


@both_profiles(["A00.FR.320"], ["A00.FR.424"])
async def test_offers_no_compression_and_agrees_to_none(profile: int, tmp_path: Path) -> None:
    assert compression_methods(await first_bytes(profile, tmp_path)) == b"\x00"
    agreed = []
    context = serving_in(profile)
    context.options &= ~ssl.OP_NO_COMPRESSION

    def talk(visit: Visit, connection: Any) -> None:
        agreed.append(connection.compression())
        upgrading(visit, connection)

    with Peer(over_tls(context, talk)) as peer:
        notebook = Notebook([attempt_in(profile, peer.port, tmp_path)])
        async with running(notebook):
            await notebook.until(lambda: len(notebook.links) == 1)
    assert agreed == [None]


@pytest.mark.parametrize(
    ("suite", "key"),
    [("NULL-SHA256", "rsa"), ("ECDHE-ECDSA-NULL-SHA", "ec"), ("ADH-AES128-GCM-SHA256", "ec")],
)
@both_profiles(["A00.FR.318", "A00.FR.322"], ["A00.FR.422", "A00.FR.426"])
async def test_a_central_system_limited_to_forbidden_suites_is_refused(
    profile: int, suite: str, key: Any, tmp_path: Path
) -> None:
    context = serving_in(profile, PKI.server_certificate(key=key))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    visit, notebook = await refused(profile, context, tmp_path)
    assert visit.received == b""
    assert [kind for kind, _ in notebook.events] == [SecurityEventType.INVALID_TLS_CIPHER_SUITE]


def offer(data: bytes) -> ClientHello:
    hello = parse(data)
    assert hello is not None
    return hello


def compression_methods(data: bytes) -> bytes:
    """The compression methods of a ClientHello (RFC 5246, 7.4.1.2)."""
    hello = data[5 + 4 :]  # behind the headers of record and message
    rest = hello[2 + 32 :]  # version, random
    rest = rest[1 + rest[0] :]  # session id
    rest = rest[2 + int.from_bytes(rest[:2], "big") :]  # suites
    return rest[1 : 1 + rest[0]]
