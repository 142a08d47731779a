"""OCTT TC_078_CS, Invalid Central System certificate: the connection's half of it, in profiles 2 and 3.

The event has to be raised here; that it is delivered over the next good connection is the security log's and the
queue's half.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint.simulation.pki import Pki
from tests.connecting import PKI, SETTINGS, Notebook, attempt_in, running, serving_in
from tests.peer import PATIENCE_S, Peer, over_tls, upgrading

NOW, DAY = datetime.now(UTC), timedelta(days=1)

# A wait that grows at all is an hour: whoever comes back within the test came back steadily.
STEADY = replace(
    SETTINGS,
    retry_first=timedelta(milliseconds=10),
    retry_initial=timedelta(hours=1),
    retry_max=timedelta(hours=1),
)
TRIES_WITHIN_TWICE_THE_RECONNECT_TIME = 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY},
        {"not_before": NOW + DAY, "not_after": NOW + 9 * DAY},
        {"issuer": Pki.create().central_system_root},
        {"common_name": "cs.example.com"},
        {"wildcard": True},
    ],
    ids=["expired", "validity in the future", "not below an installed root", "another CN", "wildcard CN"],
)
@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(
            2, marks=pytest.mark.requirement("A00.FR.307", "A00.FR.308", "A00.FR.309", "A00.FR.310"), id="profile 2"
        ),
        pytest.param(
            3, marks=pytest.mark.requirement("A00.FR.411", "A00.FR.412", "A00.FR.413", "A00.FR.414"), id="profile 3"
        ),
    ],
)
async def test_tc_078_invalid_central_system_certificate(
    profile: int, wrong: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = "cs.octt.localhost"  # has a parent domain, which a wildcard needs
    resolve_to_loopback(host, monkeypatch)
    valid = over_tls(serving_in(profile, PKI.server_certificate(host)), upgrading)
    invalid = over_tls(serving_in(profile, PKI.server_certificate(host, **wrong)))
    with Peer(valid) as tool:
        notebook = Notebook([attempt_in(profile, tool.port, tmp_path, host=host)])
        async with running(notebook, STEADY):
            await notebook.until(lambda: len(notebook.links) == 1)

            # 1-3: the tool drops the connection; the Charge Point starts TLS and meets a valid certificate.
            tool.drop()
            await notebook.until(lambda: len(notebook.links) == 2)

            # 4-7: again, but now the certificate is invalid: the Charge Point ends the connection, each time.
            met = len(tool.visits)
            tool.talk = invalid
            tool.drop()
            plans = notebook.plans
            await notebook.until(lambda: notebook.plans > plans + TRIES_WITHIN_TWICE_THE_RECONNECT_TIME)

            # 8-9: the tool puts the valid certificate back: the Charge Point connects.
            tool.talk = valid
            await notebook.until(lambda: len(notebook.links) == 3)
            refused = tool.visits[met : met + TRIES_WITHIN_TWICE_THE_RECONNECT_TIME]

            # 10-11: one event for the whole round.
            assert [kind for kind, _ in notebook.events] == ["InvalidCentralSystemCertificate"]
        for visit in refused:
            assert await asyncio.to_thread(visit.over.wait, PATIENCE_S)
            assert visit.received == b""


def resolve_to_loopback(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a name lead to this machine, as the test bench's DNS does."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def getaddrinfo(name: Any, *args: Any, **keywords: Any) -> Any:
        return await resolve("127.0.0.1" if name == host else name, *args, **keywords)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
