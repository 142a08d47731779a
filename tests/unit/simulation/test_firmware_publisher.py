"""The publisher of firmware, judged by `openssl`, which shares no line with it or with the agent."""

import subprocess
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from chargepoint.simulation import schema
from chargepoint.simulation.authority import CODE_SIGNING
from chargepoint.simulation.file_account import READER, WRITER
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.firmware_publisher import FirmwarePublisher, Release
from chargepoint.simulation.firmware_signing import Method, Unfit, bad_signing_certificates, check, sign
from chargepoint.simulation.pki import Pki
from tests.curl import curl, needs_curl
from tests.openssl import OPENSSL

needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
OPTIONS: dict[Method, list[str]] = {
    "ecdsa": [],
    "rsa-pkcs1": [],
    "rsa-pss": ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
}


@pytest.fixture
def pki() -> Pki:
    return Pki.create()


@pytest.fixture
async def servers(tmp_path: Path, pki: Pki) -> AsyncIterator[FileServers]:
    async with FileServers(tmp_path / "site", pki) as servers:
        yield servers


@pytest.fixture
def publisher(servers: FileServers, pki: Pki) -> FirmwarePublisher:
    return FirmwarePublisher(servers, pki)


def verified(directory: Path, release: Release, method: Method) -> bool:
    """Whether `openssl dgst` takes the signature."""
    assert OPENSSL is not None
    (directory / "certificate.pem").write_text(release.certificate_pem)
    (directory / "signature").write_bytes(b64decode(release.signature, validate=True))
    key = subprocess.run(
        [OPENSSL, "x509", "-in", "certificate.pem", "-noout", "-pubkey"], cwd=directory, capture_output=True, check=True
    ).stdout
    (directory / "key.pem").write_bytes(key)
    command = [OPENSSL, "dgst", "-sha256", "-verify", "key.pem", *OPTIONS[method], "-signature", "signature"]
    done = subprocess.run([*command, str(release.file)], cwd=directory, capture_output=True, text=True, timeout=20)
    return done.stdout.strip() == "Verified OK"


@needs_openssl
@pytest.mark.parametrize("method", ["ecdsa", "rsa-pss", "rsa-pkcs1"])
def test_openssl_believes_the_signature(publisher: FirmwarePublisher, tmp_path: Path, method: Method) -> None:
    release = publisher.publish("1.1.0", method=method)
    assert verified(tmp_path, release, method)
    assert len(release.signature) <= 800
    release.tamper()
    assert not verified(tmp_path, release, method)


def test_an_image_names_its_version_and_has_the_size_that_was_ordered(publisher: FirmwarePublisher) -> None:
    release = publisher.publish("1.1.0", size_bytes=3_000_000)
    content = release.file.read_bytes()
    assert (content.partition(b"\n")[0], len(content)) == (b"version=1.1.0", 3_000_000)
    assert "1.1.0" not in release.path
    assert publisher.publish("1.2.0").sha256 != publisher.publish("1.1.0").sha256
    with pytest.raises(ValueError, match="at least 14 bytes"):
        publisher.publish("1.1.0", size_bytes=13)


@needs_curl
async def test_an_image_can_be_fetched_from_every_server(publisher: FirmwarePublisher, servers: FileServers) -> None:
    for server in servers:
        release = publisher.publish("1.1.0", server=server)
        location = release.location().replace("ftpes://", "ftp://")
        ssl = ("--ssl-reqd",) if server.scheme == "ftpes" else ()
        assert (await curl("--insecure", *ssl, location)).content == release.file.read_bytes()
        assert ("reader:" in location) == (server.scheme == "sftp")


def test_the_request_is_what_the_schema_wants(publisher: FirmwarePublisher) -> None:
    moment = datetime(2030, 1, 2, tzinfo=UTC)
    release = publisher.publish("1.1.0")
    request = publisher.request(
        release, request_id=7, retrieve_at=moment, install_at=moment, retries=3, retry_interval=7, account=READER
    )
    schema.check_request("SignedUpdateFirmware", request)
    assert request == {
        "requestId": 7,
        "retries": 3,
        "retryInterval": 7,
        "firmware": {
            "location": release.location(READER),
            "retrieveDateTime": "2030-01-02T00:00:00.000Z",
            "installDateTime": "2030-01-02T00:00:00.000Z",
            "signingCertificate": publisher.signing.certificate_pem.decode(),
            "signature": release.signature,
        },
    }
    bare = publisher.request(release)
    assert bare.keys() == {"requestId", "firmware"}
    assert publisher.request(release)["requestId"] == bare["requestId"] + 1


def test_an_image_that_was_changed_is_not_handed_out(publisher: FirmwarePublisher) -> None:
    for spoil in (Release.tamper, lambda release: release.truncate(1_000)):
        release = publisher.publish("1.1.0")
        spoil(release)
        with pytest.raises(Unfit, match="not that of this image"):
            publisher.request(release)
        assert publisher.request(release, checked=False)["firmware"]["signature"] == release.signature


def test_a_missing_or_foreign_signature_is_not_handed_out(publisher: FirmwarePublisher, pki: Pki) -> None:
    for release in (
        publisher.publish("1.1.0", is_signed=False),
        publisher.publish("1.1.0", signer=pki.firmware_signing_certificate()),
        replace(publisher.publish("1.1.0"), signature="no base64"),
    ):
        with pytest.raises(Unfit, match="not that of this image"):
            publisher.request(release)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("expired", "not valid now"),
        ("not yet valid", "not valid now"),
        ("unknown root", "has not signed"),
        ("central system root", "has not signed"),
        ("under an intermediate", "has not signed"),
        ("self-signed", "has not signed"),
        ("weak key", "too weak"),
        ("for a server", "not for code"),
        ("for a client", "not for code"),
        ("revoked", "revoked"),
    ],
)
def test_an_image_with_a_bad_certificate_is_not_handed_out(
    publisher: FirmwarePublisher, pki: Pki, kind: str, why: str
) -> None:
    bad = bad_signing_certificates(pki)[kind]
    release = publisher.publish("1.1.0", shown=bad)
    with pytest.raises(Unfit, match=why):
        publisher.request(release)
    request = publisher.request(release, checked=False)
    assert request["firmware"]["signingCertificate"] == bad.certificate_pem.decode()


def test_what_is_no_certificate_is_not_handed_out(publisher: FirmwarePublisher) -> None:
    with pytest.raises(Unfit, match="no PEM"):
        publisher.request(replace(publisher.publish("1.1.0"), certificate_pem="nothing"))


def test_the_time_of_the_check_can_be_another(publisher: FirmwarePublisher, pki: Pki) -> None:
    release = publisher.publish("1.1.0")
    with pytest.raises(Unfit, match="not valid now"):
        check(
            release.file,
            release.certificate_pem,
            release.signature,
            pki.manufacturer_root,
            datetime.now(UTC) + timedelta(days=4_000),
        )


def test_a_certificate_may_leave_its_usage_open(publisher: FirmwarePublisher, pki: Pki) -> None:
    open_usage = pki.firmware_signing_certificate(usages=())
    with pytest.raises(x509.ExtensionNotFound):
        open_usage.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert publisher.request(publisher.publish("1.1.0", shown=open_usage))
    usage = publisher.signing.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [CODE_SIGNING]


def test_a_key_signs_by_its_own_methods_only(publisher: FirmwarePublisher) -> None:
    with pytest.raises(ValueError, match="does not sign by rsa-pss"):
        sign(bytes(32), publisher.signing, "rsa-pss")
    with pytest.raises(ValueError, match="does not sign by ecdsa"):
        sign(bytes(32), publisher.rsa_signing, "ecdsa")


def test_credentials_stand_in_the_location_only_where_they_are_wanted(
    publisher: FirmwarePublisher, servers: FileServers
) -> None:
    release = publisher.publish("1.1.0", server=servers.ftps)
    assert "@" not in release.location()
    assert release.location(WRITER).startswith("ftps://writer:")
