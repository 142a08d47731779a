"""A Charge Point that really used its secrets shows none of them: not in its log, files of it, answers or diagnostics.

Each secret is looked for in every form that a program writes bytes in; the forms are made here, by nothing of the
agent's. The agent logs at level debug, to standard error and to its files, and is made to fail on the way.
"""

import asyncio
import base64
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, quote_from_bytes

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from chargepoint.diagnostics_content import diagnostics
from chargepoint.foundation import open_foundation
from chargepoint.history import History
from chargepoint.log_file import LogFile
from chargepoint.settings import load
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.file_account import Account
from chargepoint.simulation.http_server import HttpServer
from logs.security_log_export import SecurityLogExport
from tests.agent_process import PKI, Agent, Refused, agent

IDENTITY: Final = "CP001"
KEY: Final = b"\xff/+=k e%y\x01&\xfa?six"
NEXT_KEY: Final = bytes.fromhex("A0B1C2D3E4F5061728394A5B6C7D8E9F")
LOCAL_KEY: Final = b"set by hand, yes"
PASSPHRASE: Final = b"correct horse: battery/staple"
URL_USER: Final = "collector"
URL_PASSWORD: Final = "p@ss/w:rd%tail"
COLLECTOR: Final = Account(URL_USER, URL_PASSWORD)
LOCATION: Final = f"ftp://{URL_USER}:{quote(URL_PASSWORD, safe='')}@127.0.0.1:1/logs/"

OWN: Final = PKI.charge_point_certificate("SN-0001")
OTHER: Final = PKI.charge_point_certificate("SN-0001")

EVERY_METHOD: Final[dict[str, dict[str, Any]]] = {
    "status": {},
    "certificates.list": {},
    "security.events": {},
    "nonsense": {"AuthorizationKey": KEY.hex()},
    "configuration.set": {"values": {"AuthorizationKey": KEY.hex()[:-1]}},
    "certificates.install": {"pem": OTHER.certificate_pem.decode(), "use": "nonsense", "key": OTHER.key_pem.decode()},
    "data_transfer": {"vendor_id": "x", "data": KEY.hex()},
    "security.raise_event": {"type": KEY.hex() * 2},
}
"""Methods and what they are asked; some with mistakes, because errors repeat what they do not like."""


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield what the bytes look like wherever a program may have written them."""
    hexadecimal = secret.hex()
    yield from (secret, hexadecimal.encode(), hexadecimal.upper().encode())
    yield from (base64.b64encode(secret), base64.urlsafe_b64encode(secret))
    yield base64.b64encode(f"{IDENTITY}:".encode() + secret)
    yield base64.b64encode(f"{URL_USER}:".encode() + secret)
    percent = "".join(f"%{byte:02X}" for byte in secret)
    yield from (quote_from_bytes(secret, safe="").encode(), quote_from_bytes(secret).encode())
    yield from (percent.encode(), percent.lower().encode())
    text = secret.decode("latin-1")
    yield from (text.encode(), json.dumps(text)[1:-1].encode(), repr(text)[1:-1].encode(), repr(secret)[2:-1].encode())
    yield json.dumps(secret.decode("utf-8", "replace"))[1:-1].encode()


def private(pem: bytes) -> Iterator[bytes]:
    """Yield the forms of a private key: its number, its DER, and each line of its PEM but those of the frame."""
    key = load_pem_private_key(pem, None)
    number = key.private_numbers().private_value  # type: ignore[union-attr]
    yield from forms(number.to_bytes(32, "big"))
    yield str(number).encode()
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        yield from forms(key.private_bytes(Encoding.DER, form, NoEncryption()))
    lines = [line for line in pem.splitlines() if not line.startswith(b"-")]
    yield from (line for line in lines[1:] if len(line) > 20)  # the first holds the algorithm, which is no secret
    yield b"PRIVATE KEY-----"


SECRETS: Final[dict[str, frozenset[bytes]]] = {
    "AuthorizationKey": frozenset(forms(KEY)),
    "AuthorizationKey of the Central System": frozenset(forms(NEXT_KEY)),
    "AuthorizationKey of a local command": frozenset(forms(LOCAL_KEY)),
    "passphrase": frozenset(forms(PASSPHRASE)),
    "password of a URL": frozenset(forms(URL_PASSWORD.encode())),
    "private key": frozenset(private(OWN.key_pem)),
    "private key that was handed in": frozenset(private(OTHER.key_pem)),
}


def assert_unseen(where: str, content: bytes) -> None:
    found = {name: [form for form in each if form in content] for name, each in SECRETS.items()}
    shown = {name: each for name, each in found.items() if each}
    assert not shown, f"{where} shows {shown}"


def encrypted(pem: bytes) -> bytes:
    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE))


def tables(directory: Path, profile: int) -> dict[str, dict[str, Any]]:
    """Lay all secrets beside config.toml and return its tables."""
    files = {"root.pem": PKI.root_pem, "cp.pem": OWN.certificate_pem, "cp.key": encrypted(OWN.key_pem)}
    for name, content in (files | {"passphrase": PASSPHRASE + b"\n"}).items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o600)
    return {
        "configuration": {"SecurityProfile": profile, "AuthorizationKey": KEY.hex(), "CpoName": PKI.organisation},
        "provisioning": {"central_system_roots": ["root.pem"], "certificate": "cp.pem", "private_key": "cp.key"},
        "security": {"key_passphrase_file": "passphrase"},
        "logs": {"agent_log_level": "debug", "mask_id_tags": False},
    }


async def asked(running: Agent) -> bytes:
    """Ask every method of the control socket, and return all answers."""
    answers: list[object] = []
    for method, params in EVERY_METHOD.items():
        try:
            answers.append(await running.call(method, **params))
        except Refused as refusal:
            answers.append([str(refusal), refusal.code, refusal.data])
    process = Path(f"/proc/{running.pid}")
    seen = [await asyncio.to_thread((process / name).read_bytes) for name in ("cmdline", "environ")]
    return repr(answers).encode() + json.dumps(answers).encode() + b"".join(seen)


async def provoke(central_system: CentralSystem) -> None:
    """Have the Central System send what holds secrets, rightly and wrongly."""
    log = {"remoteLocation": LOCATION}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("GetConfiguration", {}),
        ("GetConfiguration", {"key": ["AuthorizationKey"]}),
        ("GetLog", {"logType": "SecurityLog", "requestId": 1, "retries": 0, "log": log}),
        ("GetLog", {"logType": "DiagnosticsLog", "requestId": 2, "retries": 0, "log": log}),
        ("GetDiagnostics", {"location": LOCATION, "retries": 0}),
        ("UpdateFirmware", {"location": LOCATION, "retrieveDate": "2027-03-01T12:00:00Z"}),
        ("DataTransfer", {"vendorId": "x", "data": KEY.hex()}),
        ("ChangeConfiguration", {"key": "AuthorizationKey", "value": NEXT_KEY.hex() + "0"}),
    ]
    for action, payload in requests:
        with suppress(Exception):  # an answer that is an error is an answer: what counts is what is said of it
            await central_system.call(action, payload)


async def uploaded(central_system: CentralSystem, directory: Path) -> dict[str, bytes]:
    """Have both logs sent to a server that demands the password of a URL; return them, the archive by its members."""
    found: dict[str, bytes] = {}
    async with HttpServer(directory / "server", accounts=(COLLECTOR,)) as server:
        log = {"remoteLocation": server.url("inbox/", account=COLLECTOR)}
        for number, kind in enumerate(("SecurityLog", "DiagnosticsLog"), start=100):
            answer = await central_system.call("GetLog", {"logType": kind, "requestId": number, "log": log})
            end = {"requestId": number, "status": "Uploaded"}
            await central_system.expect("LogStatusNotification", match=end)
            found[kind] = (server.directory / "inbox" / answer["filename"]).read_bytes()
    return {"uploaded security log": found["SecurityLog"], **members(io.BytesIO(found["DiagnosticsLog"]))}


def members(file: IO[bytes]) -> dict[str, bytes]:
    """Return what is in an archive of diagnostics."""
    found = {}
    with tarfile.open(fileobj=file) as archive:
        for info in archive:
            member = archive.extractfile(info)
            assert member is not None
            found[info.name] = member.read()
    assert {f"diagnostics/{name}" for name in ("agent.log", "configuration.json", "status.json")} <= found.keys()
    return found


async def kept(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Return what the state gives out: the files of the log, the archive's members and the security log."""
    settings = load(directory / "config.toml")
    found = {path.name: path.read_bytes() for path in (directory / "state" / "log").iterdir()}
    async with open_foundation(settings) as foundation:

        async def status() -> dict[str, Any]:
            return {}

        folder = settings.state.directory / "log"
        file = LogFile(folder, max_bytes=10**7, files=4, write_after=settings.logs.agent_log_write_after)
        history = History(foundation.clock.now)
        content = diagnostics(
            foundation,
            status=status,
            running_version=lambda: None,
            log_file=file,
            connections=history,
            transfers=history,
        )
        await content.write(directory / "archive", None, None)
        export = SecurityLogExport(
            foundation.database, identity=IDENTITY, form="jsonl", compressed=False, min_free_bytes=0
        )
        await export.write(directory / "security-log", None, None)
    found["security-log"] = (directory / "security-log").read_bytes()
    found |= members(io.BytesIO((directory / "archive").read_bytes()))
    assert "agent.log" in found
    return iter(found.items())


def test_the_search_would_find_a_secret() -> None:
    for name, each in SECRETS.items():
        for form in each:
            with pytest.raises(AssertionError, match=name):
                assert_unseen("a test", b"before " + form + b" after")


@pytest.mark.requirement("A01.FR.12")
@pytest.mark.parametrize("profile", [2, 3])
async def test_no_secret_is_shown_by_a_charge_point_that_uses_it(tmp_path: Path, profile: int) -> None:
    async with CentralSystem(pki=PKI, profile=profile) as central_system:
        central_system.passwords[IDENTITY] = KEY
        central_system.serial_numbers[IDENTITY] = "SN-0001"
        async with agent(tmp_path, central_system.url, tables(tmp_path, profile)) as running:
            await central_system.expect("BootNotification")
            first = await central_system.connected()
            await provoke(central_system)
            assert_unseen("an answer, the arguments or the environment", await asked(running))

            changed = {"key": "AuthorizationKey", "value": NEXT_KEY.hex()}
            assert (await central_system.call("ChangeConfiguration", changed))["status"] == "Accepted"
            if profile == 2:  # in profile 3 the password is not in use
                first = await central_system.connected(after=first)
            trigger = {"requestedMessage": "SignChargePointCertificate"}
            assert (await central_system.call("ExtendedTriggerMessage", trigger))["status"] == "Accepted"
            await central_system.expect("SignCertificate")
            for name, content in (await uploaded(central_system, tmp_path)).items():
                assert content, name
                assert_unseen(f"{name} at the server", content)
            await running.call("configuration.set", values={"AuthorizationKey": LOCAL_KEY.hex()})
            if profile == 2:  # the Central System does not know this one: the refusal is logged
                await running.logged("refuses this Charge Point")
            own = {"pem": OTHER.certificate_pem.decode(), "use": "charge-point-certificate"}
            await running.call("certificates.install", **own, key=encrypted(OTHER.key_pem).decode())
            assert_unseen("an answer, the arguments or the environment", await asked(running))
            assert await running.stop() == 0
    assert_unseen("standard error or output", running.said().encode())
    for name, content in await kept(tmp_path):
        assert content, name
        assert_unseen(name, content)
