"""What the diagnostics hold: each part, cut to the window, without id tags and without secrets."""

import json
import logging
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from chargepoint import __version__, log
from chargepoint.diagnostics_content import diagnostics
from chargepoint.foundation import Foundation, open_foundation
from chargepoint.history import History
from chargepoint.log_file import LogFile
from chargepoint.settings import load
from security.event import SecurityEventType
from security.secret import Secret
from tests.agent_process import PKI, Tables, write_config

NOON: Final = datetime(2027, 3, 1, 12, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
SECRET: Final = Secret(b"not to be seen by anybody")
TEXT: Final = "2027-03-01T12:{minute:02}:00.000Z info    chargepoint: {message}"
JSON: Final = '{{"time": "2027-03-01T12:{minute:02}:00.000Z", "level": "info", "message": "{message}"}}'


class Bench:
    """Diagnostics of a Charge Point that does not run, whose parts a test fills."""

    def __init__(self, foundation: Foundation, directory: Path, *, with_log: bool) -> None:
        self.foundation = foundation
        self.directory = directory
        self.log_file = LogFile(
            directory / "state" / "log", max_bytes=1_000_000, files=3, write_after=timedelta(hours=1)
        )
        self.now = NOON
        self.connections, self.transfers = History(lambda: self.now), History(lambda: self.now)
        self.status: dict[str, Any] = {"identity": "CP001"}
        self.diagnostics = diagnostics(
            foundation,
            status=self._status,
            running_version=lambda: "1.2.3",
            log_file=self.log_file if with_log else None,
            connections=self.connections,
            transfers=self.transfers,
        )

    async def _status(self) -> dict[str, Any]:
        return self.status

    async def unpacked(self, oldest: datetime | None = None, latest: datetime | None = None) -> dict[str, str]:
        target = self.directory / "archive"
        await self.diagnostics.write(target, oldest, latest)
        found = {}
        with tarfile.open(target, "r:gz") as archive:
            for info in archive:
                file = archive.extractfile(info)
                assert file is not None
                found[info.name.removeprefix("diagnostics/")] = file.read().decode()
        return found

    async def part(self, name: str, oldest: datetime | None = None, latest: datetime | None = None) -> Any:
        return json.loads((await self.unpacked(oldest, latest))[name])

    async def lines(self, oldest: datetime | None = None, latest: datetime | None = None) -> list[str]:
        return (await self.unpacked(oldest, latest))["agent.log"].splitlines()


@asynccontextmanager
async def opened(directory: Path, tables: Tables | None = None, *, with_log: bool = True) -> AsyncIterator[Bench]:
    async with open_foundation(load(write_config(directory, "ws://127.0.0.1:1/ocpp", tables))) as foundation:
        yield Bench(foundation, directory, with_log=with_log)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with opened(tmp_path) as bench:
        yield bench


@pytest.fixture
def kept_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_mask", log.Mask())
    log.keep_secret(SECRET)


async def test_holds_every_part(bench: Bench) -> None:
    assert set(await bench.unpacked()) == {
        "versions.json",
        "status.json",
        "configuration.json",
        "certificates.json",
        "security-events.json",
        "connections.json",
        "transfers.json",
        "agent.log",
    }


async def test_the_configuration_is_what_the_central_system_may_see(tmp_path: Path) -> None:
    key = "0123456789abcdef" * 2
    async with opened(tmp_path, {"configuration": {"AuthorizationKey": key, "CpoName": "Example"}}) as bench:
        shown = {each["key"]: each["value"] for each in await bench.part("configuration.json")}
        assert shown["CpoName"] == "Example"
        assert shown["AuthorizationKey"] is None
        assert len(shown) == len(bench.foundation.configuration.listing().known)
        assert key not in str(await bench.unpacked())


async def test_certificates_are_listed_and_not_copied(tmp_path: Path) -> None:
    own = PKI.charge_point_certificate("SN-0001")
    (tmp_path / "root.pem").write_bytes(PKI.root_pem)
    (tmp_path / "cp.pem").write_bytes(own.certificate_pem)
    (tmp_path / "cp.key").write_bytes(own.key_pem)
    (tmp_path / "cp.key").chmod(0o600)
    provisioning = {"central_system_roots": ["root.pem"], "certificate": "cp.pem", "private_key": "cp.key"}
    async with opened(tmp_path, {"provisioning": provisioning}) as bench:
        listed = await bench.part("certificates.json")
        assert len(listed["central_system"]) == len(listed["charge_point"]) == 1
        assert "PRIVATE" not in str(await bench.unpacked())


async def test_events_are_counted_by_type(bench: Bench) -> None:
    for _ in range(3):
        await bench.foundation.events.raise_event(SecurityEventType.INVALID_MESSAGES, "x")
    await bench.foundation.events.raise_event("AcmeDoorOpen")
    assert await bench.part("security-events.json") == {"InvalidMessages": 3, "AcmeDoorOpen": 1}


async def test_versions_tell_what_runs(bench: Bench) -> None:
    versions = await bench.part("versions.json")
    assert versions["agent"] == __version__
    assert versions["charge_point"]["firmware"] == "1.2.3"
    assert versions["libraries"]["websockets"]
    assert {"python", "openssl", "openssl_of_cryptography", "sqlite", "system"} <= versions.keys()


async def test_a_library_that_is_not_there_has_no_version(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargepoint.diagnostics_content.LIBRARIES", ("no-such-library",))
    assert (await bench.part("versions.json"))["libraries"] == {"no-such-library": None}


async def test_histories_are_cut_to_the_window(bench: Bench) -> None:
    bench.connections.note("connected", url="ws://user:password@cs.example.com/ocpp")
    bench.now += 10 * MINUTE
    bench.connections.note("ended")
    bench.transfers.note("log upload", outcome="Uploaded")
    found = await bench.unpacked(NOON + MINUTE, None)
    assert [entry["what"] for entry in json.loads(found["connections.json"])] == ["ended"]
    assert [entry["what"] for entry in json.loads(found["transfers.json"])] == ["log upload"]
    assert (await bench.part("connections.json"))[0]["url"] == "ws://***@cs.example.com/ocpp"


@pytest.mark.parametrize("form", [TEXT, JSON])
@pytest.mark.parametrize(
    ("oldest", "latest", "expected"),
    [(None, None, range(5)), (1, 3, [1, 2, 3]), (3, None, [3, 4]), (None, 0, [0]), (5, None, [])],
)
async def test_the_log_is_cut_to_the_window_by_its_lines(
    bench: Bench, form: str, oldest: int | None, latest: int | None, expected: list[int]
) -> None:
    for minute in range(5):
        bench.log_file.add(form.format(minute=minute, message=f"line {minute}"))
    window = [None if minute is None else NOON + minute * MINUTE for minute in (oldest, latest)]
    lines = await bench.lines(*window)
    assert lines == [form.format(minute=minute, message=f"line {minute}") for minute in expected]


async def test_a_traceback_goes_with_its_line(bench: Bench) -> None:
    for minute in range(3):
        bench.log_file.add(TEXT.format(minute=minute, message=f"line {minute}") + f"\n    Traceback {minute}")
    assert await bench.lines(NOON + MINUTE, NOON + MINUTE) == [
        TEXT.format(minute=1, message="line 1"),
        "    Traceback 1",
    ]


async def test_the_rotated_files_are_one_log(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.log_file._max_bytes = 100
        lines = [TEXT.format(minute=minute, message="x" * 20) for minute in range(3)]
        for line in lines:
            bench.log_file.add(line)
        assert await bench.lines() == lines
        assert len(list((tmp_path / "state" / "log").iterdir())) == 3


async def test_a_large_log_is_handed_over_in_pieces(bench: Bench) -> None:
    bench.log_file._max_bytes = 10**7
    lines = []
    for number in range(5000):
        lines.append(TEXT.format(minute=number % 60, message=f"{number} " + "x" * 50))
        bench.log_file.add(lines[-1])
        if number % 1000 == 999:
            bench.log_file.flush()
    assert await bench.lines() == lines


@pytest.mark.parametrize("mask_id_tags", [True, False])
async def test_id_tags_are_masked_unless_a_setting_says_otherwise(tmp_path: Path, mask_id_tags: bool) -> None:
    async with opened(tmp_path, {"logs": {"mask_id_tags": mask_id_tags}}) as bench:
        bench.status = {"transactions": [{"id_tag": "04A2FF19", "connector": 1}]}
        bench.log_file.add(TEXT.format(minute=0, message='CALL "Authorize" {"idTag":"04A2FF19"}'))
        found = await bench.unpacked()
        for part in ("status.json", "agent.log"):
            assert ("04A2FF19" in found[part]) is not mask_id_tags
            assert ("***" in found[part]) is mask_id_tags


@pytest.mark.usefixtures("kept_secret")
async def test_whatever_comes_from_elsewhere_passes_the_mask_of_the_log(bench: Bench) -> None:
    text = SECRET.reveal().decode()
    bench.status = {"note": text, "hex": SECRET.reveal().hex()}
    bench.log_file.add(TEXT.format(minute=0, message=text))  # written before it was known to be one
    bench.connections.note("failed", reason=text)
    found = str(await bench.unpacked())
    assert text not in found
    assert SECRET.reveal().hex() not in found


async def test_without_a_log_file_there_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path, with_log=False) as bench:
        assert "agent.log" not in await bench.unpacked()


async def test_a_log_that_cannot_be_read_is_named(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "state" / "log").mkdir()
    (tmp_path / "state" / "log" / "agent.log").mkdir()
    found = await bench.unpacked()
    assert "agent.log is missing: " in found["problems.txt"]
    assert json.loads(found["status.json"]) == bench.status


async def test_a_status_that_breaks_is_named(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.status = {"broken": {1, 2}}
    with caplog.at_level(logging.WARNING):
        found = await bench.unpacked()
    assert "status.json" not in found
    assert "status.json is missing" in found["problems.txt"]
    assert "the diagnostics have no status.json" in caplog.text
