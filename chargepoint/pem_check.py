"""The check of the PEM files that config.toml names: they exist, hold what they should, and key and certificate fit.

Only form and fit are judged here: whether a certificate may be installed (dates, properties, place in the store) is the
certificate store's to say, at the time of installing. `cryptography` is imported only where there is a file to check.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chargepoint.mistake import MistakeList
from chargepoint.passphrase import read_passphrase
from chargepoint.setting_table import ProvisioningSettings
from security.errors import CertificateError, KeyLocked
from security.secret import Secret

if TYPE_CHECKING:
    from security.certificate import Certificate

MAX_PEM_BYTES: Final = 262_144  #: bytes; a hundred certificates of 4096-bit keys

_TABLE = "provisioning"


def check_provisioning(
    provisioning: ProvisioningSettings, mistakes: MistakeList, *, passphrase_file: Path | None = None
) -> None:
    """Add to `mistakes` what is wrong with the files of [provisioning]; all paths are absolute.

    A passphrase that cannot be read is no mistake of the configuration: it may come with a file system that is mounted
    later. The start looks for it (passphrase.py), and until then nothing is said of a key that needs it.
    """
    for root in provisioning.central_system_roots:
        _read_certificates("central_system_roots", root, mistakes)
    for root in provisioning.manufacturer_roots:
        _read_certificates("manufacturer_roots", root, mistakes)
    for root in provisioning.charge_point_roots:
        _read_certificates("charge_point_roots", root, mistakes)
    certificate, private_key = provisioning.certificate, provisioning.private_key
    if certificate is not None and private_key is not None:
        _check_pair(certificate, private_key, passphrase_file, mistakes)
    elif private_key is not None and not mistakes.names(_TABLE, "certificate"):
        mistakes.add(_TABLE, "private_key", str(private_key), "needs certificate beside it")
    elif certificate is not None and not mistakes.names(_TABLE, "private_key"):
        mistakes.add(_TABLE, "certificate", str(certificate), "needs private_key beside it")


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


def _read_certificates(key: str, path: Path, mistakes: MistakeList) -> "tuple[Certificate, ...]":
    from security.certificate import parse_chain

    try:
        return parse_chain(read_pem(path))
    except (ValueError, CertificateError) as error:
        mistakes.add(_TABLE, key, str(path), str(error))
        return ()


def _check_pair(certificate: Path, private_key: Path, passphrase_file: Path | None, mistakes: MistakeList) -> None:
    from security.client_certificate import match

    certificates = _read_certificates("certificate", certificate, mistakes)
    passphrase = None
    with suppress(ValueError):
        passphrase = read_passphrase(passphrase_file)
    try:
        key_pem = Secret(read_pem(private_key).encode())
        if certificates:
            match(certificates, key_pem, passphrase)
    except KeyLocked as error:
        if passphrase is not None or passphrase_file is None:
            mistakes.add(_TABLE, "private_key", str(private_key), str(error))
    except (ValueError, CertificateError) as error:
        mistakes.add(_TABLE, "private_key", str(private_key), str(error))
