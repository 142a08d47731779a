"""A peer that asks for our certificate and ends the connection: what is a hang-up on it, and what is none."""

import asyncio
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.failure import ConnectionFailed, Failure
from chargepoint.link import Opening
from chargepoint.setting_table import ConnectionSettings
from chargepoint.simulation.pki import Pki
from security.fallback import Outcome
from tests.connecting import SETTINGS, attempt_in, serving, serving_in
from tests.peer import Peer, Talk, over_tls, reset

IMPATIENT = replace(SETTINGS, open_timeout=timedelta(seconds=0.3))


async def failure(what: Attempt, settings: ConnectionSettings = SETTINGS) -> Failure:
    with pytest.raises(ConnectionFailed) as caught:
        await Opening(settings, static_rsa=True, system_trust_store=False).open(what, Clock())
    return caught.value.failure


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_on_asyncio_hangs_up_on_a_certificate_that_it_refuses(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    """asyncio sends no alert: all that is seen is a connection that ends after our certificate was asked for."""
    context = serving()
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=Pki.create().root_pem.decode())
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's own complaint
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        reason = await failure(attempt_in(3, server.sockets[0].getsockname()[1], tmp_path))
    assert reason.outcome is Outcome.HUNG_UP
    assert reason.event is None
    assert reason.what == "the peer asked for our certificate and closed the connection without a word"
    assert "CN=localhost" in reason.peer


@pytest.mark.parametrize("ending", [lambda *_: None, reset], ids=["FIN", "RST"])
@pytest.mark.parametrize(("asks", "outcome"), [(True, Outcome.HUNG_UP), (False, Outcome.NO_ANSWER)])
async def test_only_who_has_asked_for_our_certificate_has_hung_up_on_it(
    ending: Talk, asks: bool, outcome: Outcome, tmp_path: Path
) -> None:
    context = serving_in(3 if asks else 2)
    with Peer(over_tls(context, ending)) as peer:
        reason = await failure(attempt_in(3, peer.port, tmp_path))
    assert reason.outcome is outcome


async def test_a_silence_after_our_certificate_was_asked_for_is_no_hang_up(tmp_path: Path) -> None:
    with Peer(over_tls(serving_in(3))) as peer:
        reason = await failure(attempt_in(3, peer.port, tmp_path), IMPATIENT)
    assert reason.outcome is Outcome.NO_ANSWER
