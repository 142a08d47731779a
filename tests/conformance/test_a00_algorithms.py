"""A00.FR.504: what is signed by an algorithm that is broken is refused at every door, and nothing of ours is."""

import base64
import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import SignatureAlgorithmOID

from chargepoint.foundation import open_foundation
from chargepoint.settings import load as load_config
from security.signature import SignatureResult
from security.signing_certificate import SigningCertificateResult
from tests.agent_process import Agent, Refused, write_config
from tests.connecting import Notebook, attempt_in, running
from tests.enrolling import hand_over, ordered
from tests.peer import Peer, over_tls, saying
from tests.pki import Made, make, make_root, rsa_key, signed_over
from tests.site import SERIAL_NUMBER, site

DATES: dict[str, Any] = {
    "not_before": datetime.now(UTC) - timedelta(days=1),
    "not_after": datetime.now(UTC) + timedelta(days=365),
}
ROOT = make_root("A root", key=rsa_key(), **DATES)
BROKEN = pytest.mark.parametrize("broken", [hashes.SHA1(), hashes.MD5()], ids=["SHA-1", "MD5"])  # noqa: S303 - both are
CPO = {"configuration": {"CpoName": "Example CPO"}}


async def install_locally(agent: Agent, **params: Any) -> str:
    try:
        return str((await agent.call("certificates.install", **params))["result"])
    except Refused as refused:
        return str(refused)


@BROKEN
@pytest.mark.requirement("A00.FR.504")
async def test_a_certificate_over_a_broken_hash_comes_in_by_no_door(
    broken: hashes.MD5 | hashes.SHA1, tmp_path: Path
) -> None:
    root, own = signed_over(broken, ROOT, ROOT), signed_over(broken, make(SERIAL_NUMBER, issuer=ROOT, **DATES), ROOT)
    name = broken.name.upper()
    async with site(tmp_path, 2) as (central_system, agent):
        before = await agent.call("certificates.list")
        for kind in ("CentralSystemRootCertificate", "ManufacturerRootCertificate"):
            request = {"certificateType": kind, "certificate": root.pem}
            assert await central_system.call("InstallCertificate", request) == {"status": "Rejected"}
        await agent.logged(f"it is signed over {name}, at least SHA256 is wanted")
        for use in ("central-system-root", "manufacturer-root", "charge-point-root"):
            assert f"signed over {name}" in await install_locally(agent, use=use, pem=root.pem)
        key = own.key_pem.reveal().decode()
        said = await install_locally(agent, use="charge-point-certificate", pem=own.pem, key=key)
        assert f"signed over {name}" in said
        assert await agent.call("certificates.list") == before


@BROKEN
@pytest.mark.requirement("A00.FR.504")
async def test_an_authority_that_signs_over_a_broken_hash_renews_nothing(
    broken: hashes.MD5 | hashes.SHA1, tmp_path: Path
) -> None:
    async with site(tmp_path, 2, CPO) as (central_system, _):
        request = {"certificateType": "CentralSystemRootCertificate", "certificate": ROOT.pem}
        assert await central_system.call("InstallCertificate", request) == {"status": "Accepted"}
        key = x509.load_pem_x509_csr((await ordered(central_system)).encode()).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        sound = make(SERIAL_NUMBER, issuer=ROOT, public_key=key, **DATES)
        assert await hand_over(central_system, signed_over(broken, sound, ROOT).pem) == "Rejected"
        event = {"type": "InvalidChargePointCertificate"}
        said = await central_system.expect("SecurityEventNotification", match=event)
        assert f"signed over {broken.name.upper()}" in said["techInfo"]
        assert await hand_over(central_system, sound.pem) == "Accepted"


@BROKEN
@pytest.mark.requirement("A00.FR.504")
async def test_a_central_system_with_a_certificate_over_a_broken_hash_gets_no_request(
    broken: hashes.MD5 | hashes.SHA1, tmp_path: Path
) -> None:
    shown = signed_over(broken, make("localhost", issuer=ROOT, key=rsa_key(3072), **DATES), ROOT)
    for certificate, reaches in ((shown, False), (make("localhost", issuer=ROOT, **DATES), True)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        load(context, certificate, tmp_path)
        with Peer(over_tls(context, saying(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))) as peer:
            notebook = Notebook([attempt_in(2, peer.port, tmp_path, roots=(ROOT.pem.encode(),))])
            async with running(notebook):
                await notebook.until(lambda notebook=notebook: notebook.plans >= 3)  # type: ignore[misc]
            assert any(visit.received for visit in peer.visits) is reaches


def load(context: ssl.SSLContext, made: Made, directory: Path) -> None:
    files = directory / "shown.pem", directory / "shown.key"
    files[0].write_text(made.pem)
    files[1].write_bytes(made.key_pem.reveal())
    context.load_cert_chain(*files)


@BROKEN
@pytest.mark.requirement("A00.FR.504")
async def test_firmware_over_a_broken_hash_is_not_vouched_for(broken: hashes.MD5 | hashes.SHA1, tmp_path: Path) -> None:
    image, signing = tmp_path / "image", make(issuer=ROOT, key=rsa_key(3072), **DATES)
    image.write_bytes(b"firmware 1.1.0")
    (tmp_path / "maker.pem").write_text(ROOT.pem)
    tables: dict[str, dict[str, Any]] = {
        "provisioning": {"manufacturer_roots": ["maker.pem"]},
        "interop": {"firmware_pkcs1": True},
    }
    assert isinstance(signing.key, rsa.RSAPrivateKey)
    settings = load_config(write_config(tmp_path, "ws://127.0.0.1:1/ocpp", tables))
    async with open_foundation(settings) as foundation:
        trust = foundation.firmware_trust
        refused = await trust.judge(signed_over(broken, signing, ROOT).pem)
        assert refused.result is SigningCertificateResult.INVALID
        assert f"signed over {broken.name.upper()}" in refused.reason
        assert (await trust.judge(signing.pem)).accepted
        for over, expected in ((broken, SignatureResult.WRONG), (hashes.SHA256(), SignatureResult.VERIFIED)):
            for kind in (padding.PKCS1v15(), padding.PSS(padding.MGF1(over), hashlib.new(over.name).digest_size)):
                signature = signing.key.sign(image.read_bytes(), kind, over)
                outcome = await trust.verify(image, base64.b64encode(signature).decode(), signing.pem)
                assert outcome.result is expected


@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [
        ("ec-p256", SignatureAlgorithmOID.ECDSA_WITH_SHA256),
        ("ec-p384", SignatureAlgorithmOID.ECDSA_WITH_SHA256),
        ("rsa-2048", SignatureAlgorithmOID.RSA_WITH_SHA256),
        ("rsa-3072", SignatureAlgorithmOID.RSA_WITH_SHA256),
    ],
)
@pytest.mark.requirement("A00.FR.504", "A00.FR.506")
async def test_what_the_agent_signs_is_ecdsa_or_rsa_over_sha_2(
    key_type: str, algorithm: x509.ObjectIdentifier, tmp_path: Path
) -> None:
    async with site(tmp_path, 2, {**CPO, "security": {"key_type": key_type}}) as (central_system, _):
        request = x509.load_pem_x509_csr((await ordered(central_system)).encode())
        assert request.signature_algorithm_oid == algorithm
        assert request.is_signature_valid
