"""Looks whether the passphrase fits the private keys of a certificate store, before anything there is opened.

Guaranteed: nothing is changed. A wrong passphrase makes good keys look damaged; so whoever opens a store asks here
first, and goes no further where the answer is a key.

Nothing tells a wrong passphrase from a damaged key, where there is one. Where there are several, one that opens shows
that the passphrase is right, and that the others are damaged: the store then goes on without them.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from security import durable
from security.certificate import MAX_PEM_CHARACTERS
from security.enrolment import FILE_NAME, MAX_STATE_BYTES
from security.enrolment_state import EnrolmentState
from security.errors import DurableError, KeyLocked
from security.keys import is_locked, read_key
from security.secret import Secret
from security.store import CHARGE_POINT


def find_locked(directory: Path, passphrase: Secret | None) -> Path | None:
    """Return the file of an encrypted private key where the passphrase opens none of them; else None.

    Args:
        directory: of the certificate store; one that is not there yet has no keys.
        passphrase: what is to open them; None where there is none.

    Raises:
        DurableError: the directory cannot be read.
    """
    locked = None
    for path, key in _encrypted_keys(directory):
        try:
            read_key(key, passphrase)
        except KeyLocked:
            locked = locked or path
        else:
            return None
    return locked


def _encrypted_keys(directory: Path) -> Iterator[tuple[Path, Secret]]:
    for path, key in (*_installed_keys(directory / CHARGE_POINT), *_pending_key(directory / FILE_NAME)):
        if is_locked(key):
            yield path, key


def _installed_keys(directory: Path) -> Iterator[tuple[Path, Secret]]:
    for path in durable.files(directory, suffix=".key"):
        with suppress(DurableError):  # the store says so
            yield path, Secret(durable.read(path, limit_bytes=MAX_PEM_CHARACTERS))


def _pending_key(path: Path) -> Iterator[tuple[Path, Secret]]:
    with suppress(DurableError, ValueError):  # not there, or damaged, which the enrolment says
        request = EnrolmentState.from_json(durable.read(path, limit_bytes=MAX_STATE_BYTES)).request
        if request is not None and request.key is not None:
            yield path, request.key
