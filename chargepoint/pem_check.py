"""The check of the PEM files that config.toml names: they exist, hold what they should, and key and certificate fit.

Only form and fit are judged here: whether a certificate may be installed (dates, properties, place in the store) is the
certificate store's to say, at the time of installing. `cryptography` is imported only where there is a file to check.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from chargepoint.mistake import MistakeList
from chargepoint.setting_table import ProvisioningSettings
from security.errors import CertificateError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MAX_PEM_BYTES: Final = 262_144  #: bytes; a hundred certificates of 4096-bit keys

_TABLE = "provisioning"


def check_provisioning(provisioning: ProvisioningSettings, mistakes: MistakeList) -> None:
    """Add to `mistakes` what is wrong with the files of [provisioning]; its paths are absolute."""
    _check_roots("central_system_roots", provisioning.central_system_roots, mistakes)
    _check_roots("manufacturer_roots", provisioning.manufacturer_roots, mistakes)
    certificate, private_key = provisioning.certificate, provisioning.private_key
    if certificate is None and private_key is not None:
        mistakes.add(_TABLE, "private_key", str(private_key), "there is no certificate to this key")
    if certificate is not None and private_key is None and not mistakes.names(_TABLE, "private_key"):
        mistakes.add(_TABLE, "certificate", str(certificate), "needs private_key beside it")
    certified = None if certificate is None else _check_certificate(certificate, mistakes)
    if private_key is not None:
        _check_private_key(private_key, certified, mistakes)


def read_pem(path: Path) -> str:
    """Return the text of a PEM file; raises ValueError with the reason for people."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PEM_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_PEM_BYTES:
        raise ValueError(f"is larger than {MAX_PEM_BYTES} bytes")
    if b"-----BEGIN " not in content:
        raise ValueError("is not a PEM file: it has no line that starts with -----BEGIN")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        # RFC 7468 has explanatory text outside of the armour, and tools write names there that are not ASCII.
        return content.decode("utf-8", errors="replace")


def public_key_of(private_key_pem: str) -> "PublicKeyTypes":
    """Return the public half of a private key in PEM; raises ValueError with the reason for people, never the key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(private_key_pem.encode(), password=None).public_key()
    except TypeError:
        raise ValueError("is encrypted, and nobody could type its password at a start") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a private key in PEM") from None


def _check_roots(key: str, paths: tuple[Path, ...], mistakes: MistakeList) -> None:
    from security.certificate import parse_chain

    for path in paths:
        try:
            parse_chain(read_pem(path))
        except (ValueError, CertificateError) as error:
            mistakes.add(_TABLE, key, str(path), str(error))


def _check_certificate(path: Path, mistakes: MistakeList) -> "PublicKeyTypes | None":
    from security.certificate import parse_chain

    try:
        return parse_chain(read_pem(path))[0].x509.public_key()
    except (ValueError, CertificateError) as error:
        mistakes.add(_TABLE, "certificate", str(path), str(error))
        return None


def _check_private_key(path: Path, certified: "PublicKeyTypes | None", mistakes: MistakeList) -> None:
    try:
        public_key = public_key_of(read_pem(path))
    except ValueError as error:
        mistakes.add(_TABLE, "private_key", str(path), str(error))
        return
    if certified is not None and public_key != certified:
        mistakes.add(_TABLE, "private_key", str(path), "is not the key of the certificate beside it")
