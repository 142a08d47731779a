"""Whom a file server is trusted by: root certificates for TLS, host keys for sftp.

- Roots are asked for at each transfer, so that one that was installed or deleted counts at once.
- A host key that is not known is refused; by setting the first one of a server is taken and remembered durably, and
  another one is refused from then on, whatever the setting says.

Not done here: the verification itself, which is libcurl's.
"""

import base64
import hashlib
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

from chargepoint.transfer_fault import TransferFailed, TransferFault
from chargepoint.transfer_location import Location
from chargepoint.transfer_settings import TransferSettings
from security import durable
from security.errors import DurableError

KNOWN_HOSTS_NAME: Final = "known_hosts"
MAX_TRUST_BYTES: Final = 4_194_304  #: bytes of a file of roots or host keys; the roots of a whole machine take 0.3 MB
MAX_REMEMBERED_HOSTS: Final = 100  #: host keys taken on first use; a Charge Point meets a few in its life
SSH_PORT: Final = 22  #: code; the port that a file of known hosts leaves out

_MACHINE_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)

Roots = Callable[[], Sequence[bytes]]
"""Port: the installed Central System roots, each in PEM."""


class Trust:
    """What is trusted, and the host keys that were met.

    Args:
        settings: [transfers].
        directory: where host keys are remembered; made when the first one is.
        roots: the installed Central System roots.
    """

    _remembering: ClassVar = threading.Lock()

    def __init__(self, settings: TransferSettings, directory: Path, roots: Roots) -> None:
        self._settings = settings
        self._remembered = directory / KNOWN_HOSTS_NAME
        self._roots = roots

    def authorities(self) -> bytes:
        """Return the roots for TLS in PEM; reads files.

        Raises:
            TransferFailed: NOT_TRUSTED: there is none.
        """
        ca_file = self._settings.ca_file
        pems = [_read(ca_file, "[transfers] ca_file")] if ca_file is not None else list(self._roots())
        if self._settings.system_trust_store:
            pems.append(_machine_roots())
        joined = b"\n".join(pems)
        if b"-----BEGIN" not in joined:
            raise TransferFailed(
                TransferFault.NOT_TRUSTED,
                "there is no root certificate to trust a server by; install one (CentralSystemRootCertificate), or set "
                "[transfers] ca_file",
            )
        return joined

    def host_keys(self) -> bytes:
        """Return all known host keys in the form of OpenSSH; reads files."""
        given = self._settings.known_hosts
        known = [_read(given, "[transfers] known_hosts")] if given is not None else []
        return b"\n".join([*known, self._read_remembered()]) + b"\n"

    def take_first(self, location: Location, key: bytes) -> None:
        """Take the unknown host key of a server: refused, or remembered durably.

        Raises:
            TransferFailed: HOST_KEY_NOT_TRUSTED.
        """
        shown = fingerprint(key)
        if not self._settings.trust_first_host_key:
            raise TransferFailed(
                TransferFault.HOST_KEY_NOT_TRUSTED,
                f"the host key {shown} of {location.host} is not known; add it to the file of [transfers] known_hosts",
            )
        with self._remembering:
            before = self._read_remembered()
            if before.count(b"\n") >= MAX_REMEMBERED_HOSTS:
                raise TransferFailed(
                    TransferFault.HOST_KEY_NOT_TRUSTED,
                    f"{MAX_REMEMBERED_HOSTS} host keys are remembered already; clear {self._remembered}",
                )
            try:
                durable.make_directory(self._remembered.parent)
                durable.write(self._remembered, before + _line(location, key))
            except DurableError as error:
                raise TransferFailed(
                    TransferFault.LOCAL_DISK, f"the host key {shown} could not be remembered: {error}"
                ) from error

    def refuse_changed(self, location: Location, key: bytes) -> TransferFailed:
        """Return the fault of a server that shows another key than the one that is known."""
        return TransferFailed(
            TransferFault.HOST_KEY_NOT_TRUSTED,
            f"{location.host} shows the host key {fingerprint(key)}, and another one is known: either its key was "
            f"changed (then correct [transfers] known_hosts or {self._remembered}), or it is not that server",
        )

    def _read_remembered(self) -> bytes:
        if not self._remembered.exists():
            return b""
        return _read(self._remembered, "the file of remembered host keys")


def fingerprint(key: bytes) -> str:
    """Return a host key as ``ssh-keygen -l`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


@contextmanager
def lent_file(content: bytes) -> Iterator[str]:
    """Lend a file in memory by its path, for what libcurl takes in no other way; nothing is written to a disk."""
    descriptor = os.memfd_create("chargepoint", os.MFD_CLOEXEC)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _line(location: Location, key: bytes) -> bytes:
    port = location.port or SSH_PORT
    host = location.host if port == SSH_PORT else f"[{location.host}]:{port}"
    kind_bytes = int.from_bytes(key[:4], "big")  # RFC 4253, section 6.6: a key begins with its kind
    return b" ".join((host.encode("ascii"), key[4 : 4 + kind_bytes], base64.b64encode(key))) + b"\n"


def _machine_roots() -> bytes:
    for name in (ssl.get_default_verify_paths().cafile, *_MACHINE_BUNDLES):
        if name is not None and Path(name).is_file():
            return _read(Path(name), "the trust store of the machine")
    return b""


def _read(path: Path, what: str) -> bytes:
    try:
        return durable.read(path, limit_bytes=MAX_TRUST_BYTES)
    except DurableError as error:
        raise TransferFailed(TransferFault.NOT_TRUSTED, f"{what}: {error}") from error
