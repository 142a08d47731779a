"""N01 over all six schemes: what goes well and what goes wrong, seen from both ends.

Both ends are asserted each time: the statuses that the Central System has heard, and the bytes on the server.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from chargepoint.simulation import file_fault as fault
from chargepoint.simulation.file_account import WRITER, Account
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.pki import Pki
from tests.upload_site import EVENTS, SCHEMES, UploadSite, inbox, inbox_url, numbers, upload_site

CUT_AT = 60_000
WRONG = Account("writer", "not the password")


@dataclass(frozen=True)
class Case:
    """Something that is wrong for good.

    Attributes:
        status: how the upload ends.
        prepare: makes it so, and returns the location.
        schemes: where it can happen.
        retries: how often the Charge Point may try again.
    """

    status: str
    prepare: Callable[[FileServer], str]
    schemes: tuple[str, ...] = SCHEMES
    retries: int = 0


def _with(*faults: fault.Fault) -> Callable[[FileServer], str]:
    def prepare(server: FileServer) -> str:
        for each in faults:
            server.add_fault(each)
        return inbox_url(server)

    return prepare


def _untrusted(server: FileServer) -> str:
    if server.scheme == "sftp":
        server.add_fault(fault.OtherHostKey(times=None))
    else:
        stranger = Pki.create().server_certificate(server.host)
        server.add_fault(fault.ShowCertificate(certificate=stranger, times=None))
    return inbox_url(server)


def _nobody_listens(server: FileServer) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"{server.scheme}://writer:secret@127.0.0.1:{port}/inbox/"


CASES = {
    "refused login": Case("PermissionDenied", lambda server: server.url("inbox/", account=WRONG), retries=5),
    "no permission": Case("PermissionDenied", _with(fault.NoPermission(times=None)), retries=5),
    "missing directory": Case("UploadFailure", lambda server: server.url("elsewhere/", account=WRITER)),
    "unknown host": Case(
        "UploadFailure", lambda server: f"{server.scheme}://writer:secret@no-such-host.invalid/inbox/", retries=1
    ),
    "nobody listens": Case("UploadFailure", _nobody_listens, retries=1),
    "cut more often than it is tried": Case("UploadFailure", _with(fault.CutAfter(bytes=1_000, times=None)), retries=2),
    "stalled": Case("UploadFailure", _with(fault.StallAfter(bytes=1_000, times=None))),
    "not trusted": Case("UploadFailure", _untrusted, schemes=("https", "ftpes", "ftps", "sftp"), retries=5),
    "disk full at the far end": Case("UploadFailure", _with(fault.DiskFull(bytes=1_000, times=None))),
}


async def _uploads(site: UploadSite, server: FileServer, *, retries: int = 0) -> None:
    """One upload that goes well."""
    number, answer = await site.get_log(inbox_url(server), retries=retries)
    assert answer["status"] == "Accepted"
    assert await site.statuses(number) == ["Uploading", "Uploaded"]
    assert {name: numbers(content) for name, content in inbox(server).items()} == {
        answer["filename"]: list(range(EVENTS))
    }


@pytest.mark.requirement("N01.FR.02", "N01.FR.03", "N01.FR.08", "N01.FR.09")
async def test_the_log_arrives_whole_by_each_scheme(tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        for scheme in SCHEMES:
            await _uploads(site, site.server(scheme))
        assert list((site.agent.state / "uploads").iterdir()) == []


@pytest.mark.requirement("N01.FR.09")
async def test_an_upload_that_is_cut_goes_on_where_it_ended_if_the_protocol_can(tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        offsets = {}
        for scheme in SCHEMES:
            server = site.server(scheme)
            server.add_fault(fault.CutAfter(bytes=CUT_AT, times=2))
            await _uploads(site, server, retries=3)
            transfers = [each for each in server.record.arrivals if each.fault is not None or each.bytes]
            offsets[scheme] = [each.offset for each in transfers]
        by_http = {scheme: offsets.pop(scheme) for scheme in ("http", "https")}
        assert by_http == {"http": [0, 0, 0], "https": [0, 0, 0]}
        for scheme, (first, second, third) in offsets.items():
            assert 0 == first < second < third, scheme


@pytest.mark.requirement("N01.FR.07", "N01.FR.10")
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_what_is_wrong_for_good_is_told_once_by_its_cause(scheme: str, tmp_path: Path) -> None:
    async with upload_site(tmp_path) as site:
        ended: dict[str, tuple[int, list[str]]] = {}
        for name, case in CASES.items():
            if scheme not in case.schemes:
                continue
            server = site.server(scheme)
            number, answer = await site.get_log(case.prepare(server), retries=case.retries)
            assert answer["status"] == "Accepted", name
            ended[name] = (number, await site.statuses(number))
            whole = [content for content in inbox(server).values() if len(content) > CUT_AT]
            assert not whole, name
        await _uploads(site, site.server(scheme))
        assert {name: told for name, (_, told) in ended.items()} == {
            name: ["Uploading", CASES[name].status] for name in ended
        }
        # Nothing was told a second time since.
        assert {name: site.heard(number) for name, (number, _) in ended.items()} == {
            name: told for name, (_, told) in ended.items()
        }
        assert list((site.agent.state / "uploads").iterdir()) == []
        for secret in ("not the password", "not%20the%20password", "p:a/s@s", ":secret@"):
            assert secret not in site.agent.said()


@pytest.mark.requirement("N01.FR.07", "N01.FR.10")
async def test_a_location_that_is_no_use_is_not_tried_twice(tmp_path: Path) -> None:
    expected = {
        "gopher://127.0.0.1/inbox/": "NotSupportedOperation",
        "file:///etc/": "NotSupportedOperation",
        "no URL at all": "BadMessage",
        "http://": "BadMessage",
    }
    async with upload_site(tmp_path) as site:
        for location, status in expected.items():
            number, answer = await site.get_log(location, retries=10, retry_interval=3600)
            assert answer["status"] == "Accepted", location
            assert await site.statuses(number) == ["Uploading", status], location


@pytest.mark.requirement("N01.FR.10")
async def test_the_answer_of_the_server_makes_the_status(tmp_path: Path) -> None:
    expected: list[tuple[fault.Fault, str]] = [
        (fault.HttpError(status=401, times=None), "PermissionDenied"),
        (fault.HttpError(status=403, times=None), "PermissionDenied"),
        (fault.HttpError(status=405, times=None), "NotSupportedOperation"),
        (fault.HttpError(status=501, times=None), "NotSupportedOperation"),
        (fault.HttpError(status=500, times=None), "UploadFailure"),
        (fault.Malformed(times=None), "BadMessage"),
    ]
    async with upload_site(tmp_path) as site:
        for given, status in expected:
            server = site.server("http")
            server.add_fault(given)
            number, _ = await site.get_log(inbox_url(server))
            assert await site.statuses(number) == ["Uploading", status], given
            assert inbox(server) == {}, given
