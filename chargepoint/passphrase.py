"""The passphrase of the private key files: read from the file that [security] key_passphrase_file names.

Guaranteed: it is masked in the log from the moment in which it is read, and no error shows it. Where it is missing, or
does not open the keys that are kept, that is said before anything in the state directory is opened, so that no good
certificate is taken for a damaged one.

Not done here: encryption (security/keys.py). The file's mode is a warning only (settings.py): what systemd's
LoadCredential= provides looks readable for a group, and is not.
"""

from pathlib import Path
from typing import Final

from chargepoint import log
from chargepoint.state import StateUnusable
from security.errors import DurableError
from security.secret import Secret

MAX_PASSPHRASE_BYTES: Final = 1023  #: bytes; what OpenSSL takes as the passphrase of a PEM file

_ADVICE: Final = "correct [security] key_passphrase_file, or the file"
_LOST: Final = (
    "give the passphrase back; where it is lost, or the key damaged, move the key away and install a certificate anew"
)


def read_passphrase(file: Path | None) -> Secret | None:
    """Return the first line of the file, stripped; None where no file is named.

    Raises:
        ValueError: with the reason for people.
    """
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_PASSPHRASE_BYTES + 2)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    passphrase = content.partition(b"\n")[0].strip()
    if not passphrase:
        raise ValueError("holds no passphrase in its first line")
    if len(passphrase) > MAX_PASSPHRASE_BYTES:
        raise ValueError(f"holds a passphrase of more than {MAX_PASSPHRASE_BYTES} bytes")
    secret = Secret(passphrase)
    log.keep_secret(secret)
    return secret


def open_passphrase(file: Path | None, certificates: Path) -> Secret | None:
    """Return the passphrase, which opens the private keys that are kept; None where there is none and none is needed.

    Args:
        file: the file that holds it; None where keys are kept unencrypted.
        certificates: the directory of the certificate store; nothing in it is changed.

    Raises:
        StateUnusable: it cannot be read, or does not open the keys.
    """
    from security.stored_keys import find_locked

    try:
        passphrase = read_passphrase(file)
    except ValueError as error:
        raise StateUnusable(file or Path(), f"the passphrase of the private keys {error}", _ADVICE) from error
    try:
        locked = find_locked(certificates, passphrase)
    except DurableError as error:
        raise StateUnusable(Path(error.path), error.what, error.advice) from error
    if locked is None:
        return passphrase
    if file is None:
        raise StateUnusable(
            locked, "its private key is encrypted, and [security] key_passphrase_file is not set", _LOST
        )
    raise StateUnusable(file, f"its passphrase does not open the private key of {locked}", _LOST)
