"""A Charge Point whose private keys are encrypted: it connects, renews, and stops before harm is done."""

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from chargepoint.simulation.authority import Issued
from tests.agent_process import PKI, PROGRAM
from tests.enrolling import SERIAL_NUMBER, der, hand_over, in_profile_3, ordered, presented

PASSPHRASE = b"correct horse battery staple"


def lay_passphrase(directory: Path, passphrase: bytes = PASSPHRASE) -> Path:
    file = directory / "passphrase"
    file.write_bytes(passphrase + b"\n")
    file.chmod(0o600)
    return file


def own(*, encrypted: bool) -> tuple[Issued, bytes]:
    """A Charge Point certificate, its key encrypted or not, and the bytes that must never lie on the disk."""
    made = PKI.charge_point_certificate(SERIAL_NUMBER)
    key = load_pem_private_key(made.key_pem, None)
    encryption = BestAvailableEncryption(PASSPHRASE) if encrypted else NoEncryption()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return Issued(made.certificate_pem, pem, made.chain_pem), key.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )


async def chargepoint(directory: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *arguments,
        "--config",
        str(directory / "config.toml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def contents(state: Path) -> list[bytes]:
    return [path.read_bytes() for path in state.rglob("*") if path.is_file()]


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.requirement("A02.FR.05", "A00.FR.401")
async def test_it_connects_and_renews_without_an_unencrypted_key_on_the_disk(tmp_path: Path, encrypted: bool) -> None:
    file = lay_passphrase(tmp_path)
    certificate, raw = own(encrypted=encrypted)
    further = {"security": {"key_passphrase_file": str(file)}}
    async with in_profile_3(tmp_path, certificate, further=further) as (central_system, running):
        assert await presented(central_system) == der(certificate)
        csr = await ordered(central_system)
        pending = (running.state / "certificates" / "enrolment.json").read_bytes()
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in pending
        signed = PKI.sign_csr(csr, serial_number=SERIAL_NUMBER)
        assert await hand_over(central_system, signed) == "Accepted"
        assert await presented(central_system) == der(signed)
        listed = (await running.call("certificates.list"))["charge_point"]
        assert {each["key_place"] for each in listed} == {"encrypted file"}
        assert not central_system.findings
        found = contents(running.state)
        assert not any(b"BEGIN PRIVATE KEY" in each or raw in each or PASSPHRASE in each for each in found)
        assert PASSPHRASE.decode() not in "\n".join(running.log) + str(await running.call("status"))


async def test_without_the_right_passphrase_it_stops_and_nothing_is_lost(tmp_path: Path) -> None:
    file = lay_passphrase(tmp_path)
    certificate, _ = own(encrypted=False)
    further = {"security": {"key_passphrase_file": str(file)}}
    async with in_profile_3(tmp_path, certificate, further=further) as (_, running):
        state = running.state
    before = sorted(path.name for path in (state / "certificates").rglob("*"))

    async def refused(words: str) -> None:
        for command in (("run",), ("configure", "HeartbeatInterval=60")):
            status, output = await chargepoint(tmp_path, *command)
            assert (status, str(file) in output, words in output) == (3, True, True), output
            assert "Traceback" not in output
        status, output = await chargepoint(tmp_path, "check")
        assert (status, "key_passphrase_file" in output, words in output) == (2, True, True), output
        assert sorted(path.name for path in (state / "certificates").rglob("*")) == before

    lay_passphrase(tmp_path, b"another passphrase")
    await refused("does not open the private key")
    lay_passphrase(tmp_path, b"")
    await refused("holds no passphrase")
    file.unlink()
    await refused("cannot be read")
    lay_passphrase(tmp_path).chmod(0o644)
    status, output = await chargepoint(tmp_path, "check")
    assert status == 0
    assert f"warning: {file} holds a passphrase and others may read it" in output
    status, output = await chargepoint(tmp_path, "configure", "HeartbeatInterval=60")
    assert status == 0, output


async def test_a_key_is_installed_encrypted_by_the_command(tmp_path: Path) -> None:
    file = lay_passphrase(tmp_path)
    further = {"security": {"key_passphrase_file": str(file)}}
    async with in_profile_3(tmp_path, further=further) as (_, running):
        certificate, raw = own(encrypted=True)
        certificate_file, key_file = certificate.write(tmp_path, "next")
        install = ("install", str(certificate_file), "--as", "charge-point-certificate", "--key", str(key_file))
        status, output = await chargepoint(tmp_path, *install)
        assert status == 0, output
        assert len((await running.call("certificates.list"))["charge_point"]) == 2
        assert not any(b"BEGIN PRIVATE KEY" in each or raw in each for each in contents(running.state))
