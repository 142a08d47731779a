"""Publishes firmware images at the simulated file servers, and orders updates to them.

    publisher = FirmwarePublisher(servers, pki)
    release = publisher.publish("1.1.0", server=servers.https)
    answer = await central_system.call("SignedUpdateFirmware", publisher.request(release))

An image is what the simulated installer takes: a first line ``version=1.1.0`` and bytes behind it, signed as a whole.
`request` looks at certificate and signature before it hands anything out (A00.FR.706); a test that wants a bad image
sent says so. What a server does wrong meanwhile is a fault of the server (file_fault.py).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.file_account import READER, Account
from chargepoint.simulation.file_server import FileServer
from chargepoint.simulation.file_servers import FileServers
from chargepoint.simulation.firmware_signing import PIECE_BYTES, Method, check, sha256_of, sign
from chargepoint.simulation.frame import Payload
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.request_id import next_request_id

IMAGE_BYTES: Final = 300_000  #: bytes of an image; more than the buffers of a connection hold, and quick all the same
DIRECTORY: Final = "firmware"


@dataclass(slots=True)
class Release:
    """A published image.

    Attributes:
        version: the version that its first line names.
        server: where it is.
        path: its path there.
        certificate_pem: the certificate that its request shows.
        signature: Base64; "" for none.
    """

    version: str
    server: FileServer
    path: str
    certificate_pem: str
    signature: str

    @property
    def file(self) -> Path:
        """The image on the disk of the server."""
        return self.server.directory / self.path

    @property
    def sha256(self) -> bytes:
        """The hash of the image as it lies there now."""
        return sha256_of(self.file)

    def location(self, account: Account | None = None) -> str:
        """Return the address of the image; a server that lets nobody in without a name gets one that may read."""
        if account is None and not self.server.lets_in_anonymous:
            account = READER
        return self.server.url(self.path, account=account)

    def tamper(self) -> None:
        """Change one byte in the middle of the image, its signature left as it was."""
        with self.file.open("r+b") as stream:
            stream.seek(self.file.stat().st_size // 2)
            byte = stream.read(1)
            stream.seek(-1, 1)
            stream.write(bytes([byte[0] ^ 1]))

    def truncate(self, size_bytes: int) -> None:
        """Cut the image short, its signature left as it was."""
        with self.file.open("r+b") as stream:
            stream.truncate(size_bytes)


class FirmwarePublisher:
    """The manufacturer and the Central System's store of images in one.

    Args:
        servers: where images are published.
        pki: its manufacturer root vouches for signing certificates.

    Attributes:
        signing: the good signing certificate, with an EC key.
        rsa_signing: another one, with an RSA key.
    """

    def __init__(self, servers: FileServers, pki: Pki) -> None:
        self._servers = servers
        self._pki = pki
        self.signing = pki.firmware_signing_certificate()
        self.rsa_signing = pki.firmware_signing_certificate(key="rsa")

    def publish(
        self,
        version: str,
        *,
        server: FileServer | None = None,
        name: str | None = None,
        size_bytes: int = IMAGE_BYTES,
        shown: Issued | None = None,
        signer: Issued | None = None,
        method: Method | None = None,
        is_signed: bool = True,
    ) -> Release:
        """Write an image and sign it.

        Args:
            version: the version that it names.
            server: where; by default with https.
            name: name of the file, which takes the place of one of that name; by default one for each version that
                does not name it, so that the first line has to.
            size_bytes: its size.
            shown: the certificate that the request shows; by default a good one.
            signer: whose key signs; by default that of the certificate shown.
            method: how it signs; by default as the white paper wants it.
            is_signed: False for an image without a signature.
        """
        shown = shown or (self.rsa_signing if method in ("rsa-pss", "rsa-pkcs1") else self.signing)
        server = server or self._servers.https
        path = f"{DIRECTORY}/{name or f'image-{hashlib.sha256(version.encode()).hexdigest()[:8]}.bin'}"
        file = server.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with file.open("wb") as stream:
            for piece in _pieces(version, size_bytes):
                stream.write(piece)
                digest.update(piece)
        signature = sign(digest.digest(), signer or shown, method) if is_signed else ""
        return Release(version, server, path, shown.certificate_pem.decode(), signature)

    def request(
        self,
        release: Release,
        *,
        request_id: int | None = None,
        retrieve_at: datetime | None = None,
        install_at: datetime | None = None,
        retries: int | None = None,
        retry_interval: int | None = None,
        account: Account | None = None,
        checked: bool = True,
    ) -> Payload:
        """Return the payload of a SignedUpdateFirmware.req.

        Args:
            release: the image.
            request_id: its requestId; by default one that was not used before.
            retrieve_at: retrieveDateTime; by default now.
            install_at: installDateTime; by default none.
            retries: how often the download is to be tried; by default left to the Charge Point.
            retry_interval: seconds between two tries; by default left to the Charge Point.
            account: whose credentials stand in the location; by default none, where that is enough.
            checked: refuse to hand out an image whose certificate or signature is wrong; False to do it on purpose.

        Raises:
            Unfit: `checked`, and certificate or signature is wrong (A00.FR.706).
        """
        if checked:  # A00.FR.706
            check(release.file, release.certificate_pem, release.signature, self._pki.manufacturer_root)
        firmware: Payload = {
            "location": release.location(account),
            "retrieveDateTime": _text(retrieve_at or datetime.now(UTC)),
            "signingCertificate": release.certificate_pem,  # L01.FR.11
            "signature": release.signature,
        }
        if install_at is not None:
            firmware["installDateTime"] = _text(install_at)
        payload: Payload = {"requestId": next_request_id() if request_id is None else request_id}
        payload["firmware"] = firmware
        if retries is not None:
            payload["retries"] = retries
        if retry_interval is not None:
            payload["retryInterval"] = retry_interval
        return payload


def _pieces(version: str, size_bytes: int) -> Iterator[bytes]:
    """Yield an image of a size: the line with its version, then bytes that do not repeat within a megabyte."""
    line = f"version={version}\n".encode()
    if size_bytes < len(line):
        raise ValueError(f"an image has at least {len(line)} bytes, for its first line")
    yield line
    filling = hashlib.shake_256(line).digest(PIECE_BYTES)
    left = size_bytes - len(line)
    while left > 0:
        yield filling[: min(left, PIECE_BYTES)]
        left -= PIECE_BYTES


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
