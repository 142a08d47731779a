"""A00: what a certificate must be like, at every door by which one can come in."""

import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chargepoint.simulation.central_system import CentralSystem
from tests.agent_process import Agent, Refused
from tests.connecting import PKI, Notebook, attempt_in, running
from tests.openssl import OPENSSL
from tests.peer import Peer, over_tls
from tests.pki import Made, SigningKey, dsa_key, make, make_root, rsa_key
from tests.site import OWN, SERIAL_NUMBER, site

DATES = {"not_before": datetime.now(UTC) - timedelta(days=1), "not_after": datetime.now(UTC) + timedelta(days=365)}


def elliptic(curve: ec.EllipticCurve) -> SigningKey:
    return ec.generate_private_key(curve)


def root_with(key: SigningKey) -> Made:
    return make_root("A root", key=key, **DATES)  # type: ignore[arg-type]


def own_with(key: SigningKey) -> Made:
    """A Charge Point certificate with a key, issued by a good root."""
    return make(SERIAL_NUMBER, key=key, issuer=root_with(elliptic(ec.SECP256R1())), **DATES)  # type: ignore[arg-type]


WEAK = [
    pytest.param(rsa_key(1024), marks=pytest.mark.requirement("A00.FR.501", "A00.FR.502"), id="RSA 1024"),
    pytest.param(dsa_key(1024), marks=pytest.mark.requirement("A00.FR.501", "A00.FR.502"), id="DSA 1024"),
    pytest.param(elliptic(ec.SECP192R1()), marks=pytest.mark.requirement("A00.FR.501", "A00.FR.503"), id="EC 192"),
]
STRONG = [
    pytest.param(rsa_key(2048), marks=pytest.mark.requirement("A00.FR.502"), id="RSA 2048"),
    pytest.param(elliptic(ec.SECP224R1()), marks=pytest.mark.requirement("A00.FR.503"), id="EC 224"),
]


async def doors(central_system: CentralSystem, agent: Agent, key: SigningKey) -> list[str]:
    """Bring a key in by each door of the agent, and return what each one says."""
    said = [await install(central_system, root_with(key).pem)]
    for use, made in (("central-system-root", root_with(key)), ("manufacturer-root", root_with(key))):
        said.append(await install_locally(agent, use=use, pem=made.pem))
    own = own_with(key)
    key_pem = own.key_pem.reveal().decode()
    said.append(await install_locally(agent, use="charge-point-certificate", pem=own.pem, key=key_pem))
    return said


async def install(central_system: CentralSystem, pem: str) -> str:
    request = {"certificateType": "ManufacturerRootCertificate", "certificate": pem}
    return str((await central_system.call("InstallCertificate", request))["status"])


async def install_locally(agent: Agent, **params: Any) -> str:
    try:
        return str((await agent.call("certificates.install", **params))["result"])
    except Refused as refused:
        return str(refused)


@pytest.mark.parametrize("key", WEAK)
async def test_a_weak_key_comes_in_by_no_door(key: SigningKey, tmp_path: Path) -> None:
    async with site(tmp_path, 2) as (central_system, agent):
        status, *local = await doors(central_system, agent, key)
        assert status == "Rejected"
        assert len([said for said in local if "bits, at least" in said]) == 3, local
        await agent.logged("bits, at least")


@pytest.mark.parametrize("key", STRONG)
async def test_a_key_that_is_just_strong_enough_comes_in(key: SigningKey, tmp_path: Path) -> None:
    async with site(tmp_path, 2) as (central_system, agent):
        assert await doors(central_system, agent, key) == ["Accepted"] * 4


@pytest.mark.requirement("A00.FR.501", "A00.FR.502")
async def test_a_central_system_with_a_weak_key_gets_no_request(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    PKI.server_certificate(key="rsa", weak_key=True).load_into(context)
    with Peer(over_tls(context)) as peer:
        notebook = Notebook([attempt_in(2, peer.port, tmp_path)])
        async with running(notebook):
            await notebook.until(lambda: notebook.plans >= 3)
        assert not any(visit.received for visit in peer.visits)


@pytest.mark.requirement("A00.FR.508")
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
async def test_a_certificate_without_a_serial_number_is_refused(tmp_path: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(make_root("A root", serial_number=0x55, **DATES).pem)  # type: ignore[arg-type]
    assert der.count(b"\x02\x01\x55") == 1
    for patched in (der.replace(b"\x02\x01\x55", b"\x02\x01\x00"), der.replace(b"\x02\x01\x55", b"\x05\x01\x55")):
        async with site(tmp_path, 2) as (central_system, _):
            assert await install(central_system, ssl.DER_cert_to_PEM_cert(patched)) == "Rejected"


@pytest.mark.requirement("A00.FR.506")
async def test_what_either_end_signs_is_signed_over_sha_256(tmp_path: Path) -> None:
    async with site(tmp_path, 2, {"configuration": {"CpoName": "Example CPO"}}) as (central_system, _):
        trigger = {"requestedMessage": "SignChargePointCertificate"}
        assert await central_system.call("ExtendedTriggerMessage", trigger) == {"status": "Accepted"}
        request = x509.load_pem_x509_csr((await central_system.expect("SignCertificate"))["csr"].encode())
        issued = [OWN, PKI.server_certificate(key="rsa"), PKI.server_certificate(key="ec")]
        certificates = [x509.load_pem_x509_certificate(each.certificate_pem) for each in issued]
        signed_over = [request.signature_hash_algorithm, PKI.central_system_root.certificate.signature_hash_algorithm]
        signed_over += [each.signature_hash_algorithm for each in certificates]
        assert {type(each) for each in signed_over} == {hashes.SHA256}


@pytest.mark.skipif(OPENSSL is None, reason="this machine has no openssl program")
@pytest.mark.requirement("A00.FR.507", "A00.FR.508")
async def test_certificates_lie_on_the_disk_as_pem_that_openssl_reads(tmp_path: Path) -> None:
    async with site(tmp_path, 3) as (central_system, agent):
        sent = make_root("Another root", **DATES)  # type: ignore[arg-type]
        assert await install(central_system, sent.pem) == "Accepted"
        read = [read_by_openssl(path) for path in certificates_below(agent.state)]
        assert all(int(serial.removeprefix("serial="), 16) > 0 for serial, _ in read)
        subjects = {subject for _, subject in read}
        assert len(subjects) == 3  # the operator's root, the Charge Point's own, and what was sent
        assert any("Another root" in subject for subject in subjects)


def read_by_openssl(path: Path) -> tuple[str, str]:
    """Return serial number and subject."""
    command = [str(OPENSSL), "x509", "-in", str(path), "-inform", "PEM", "-noout", "-serial", "-subject"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()
    return said[0], said[1]


def certificates_below(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        if path.is_file() and b"BEGIN CERTIFICATE" in path.read_bytes():
            yield path
