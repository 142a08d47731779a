"""The files of the certificate store: plain PEM, each named by the SHA-256 fingerprint of what it holds.

The name is the file's checksum: what does not fit its name, or cannot be parsed, is damaged and set aside, and the rest
goes on. A new certificate is a new name, so nothing that is good is ever overwritten.

- A root is one file, ``<fingerprint>.pem`` (root.py; docs/decisions/0061-fallback-root.md).
- A Charge Point certificate is two: ``<fingerprint>.key`` is written first, ``<fingerprint>.pem`` (the chain) makes it
  count. A power cut between the two leaves a key without a chain: nobody was told that it is installed, and `load`
  collects it. An encrypted key that stays locked is no reason to set its chain aside: with the right passphrase both
  are good again (stored_keys.py looks for that before anything is opened).

Not done here: the rules of what may be installed, and keeping two writers apart (store.py).
"""

from dataclasses import dataclass, replace
from pathlib import Path

from security import durable
from security.certificate import MAX_PEM_CHARACTERS, Certificate, parse_chain
from security.client_certificate import ClientCertificate, match
from security.errors import CertificateError, DurableError, KeyLocked
from security.keys import place_of
from security.root import MAX_FILE_BYTES, Root
from security.root_set import RootSet
from security.secret import Secret

_CERTIFICATE_SUFFIX = ".pem"
_KEY_SUFFIX = ".key"


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that cannot be used; the rest goes on without it.

    Attributes:
        path: where it lies now: under another name if its content is bad, where it was if it merely cannot be read.
        reason: what is wrong with it, in one line.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class RootShelf:
    """The directory of one domain's roots."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self) -> tuple[RootSet, tuple[Damage, ...]]:
        """Read all roots; set aside what is damaged, and finish a replacement that was cut short.

        Raises:
            DurableError: the directory cannot be read, or what is damaged or was replaced cannot be moved.
        """
        durable.sweep(self._directory)
        roots: list[Root] = []
        damage: list[Damage] = []
        for path in durable.files(self._directory, suffix=_CERTIFICATE_SUFFIX):
            try:
                root = Root.parse(_text(path, MAX_FILE_BYTES))
                _check_name(path, root.certificate)
            except CertificateError as error:
                damage.append(_set_aside(path, error))
            except DurableError as error:
                damage.append(Damage(path, error.what))
            else:
                roots.append(root)
        for root in roots:
            self._remove_replaced(root)
        return RootSet.of(roots), tuple(damage)

    def put(self, root: Root) -> None:
        """Store one root, or what its file has to remember anew; durable when it returns.

        Raises:
            DurableError: it is not stored.
        """
        durable.make_directory(self._directory)
        durable.write(self._path(root.fingerprint), root.text.encode("ascii"))

    def remove(self, root: Root) -> None:
        """Remove one root durably.

        What it had replaced goes first, should it still lie there: nothing else keeps that from coming back.

        Raises:
            DurableError: it is still there.
        """
        self._remove_replaced(root)
        durable.remove(self._path(root.fingerprint))

    def _remove_replaced(self, root: Root) -> None:
        for path in map(self._path, sorted(root.replaced)):
            if path.exists():
                durable.remove(path)

    def _path(self, fingerprint: str) -> Path:
        return self._directory / f"{fingerprint}{_CERTIFICATE_SUFFIX}"


class PairShelf:
    """The directory of the Charge Point certificates with their keys.

    Args:
        directory: where they are; it need not exist yet.
        passphrase: opens the keys that are encrypted; None where there is none.
    """

    def __init__(self, directory: Path, passphrase: Secret | None = None) -> None:
        self._directory = directory
        self._passphrase = passphrase

    def load(self) -> tuple[tuple[ClientCertificate, ...], tuple[Damage, ...]]:
        """Read all pairs, oldest first; set aside what is damaged and collect the keys of unfinished installations.

        Raises:
            DurableError: the directory cannot be read, or what is damaged cannot be moved.
        """
        durable.sweep(self._directory)
        pairs: list[ClientCertificate] = []
        damage: list[Damage] = []
        for path in durable.files(self._directory, suffix=_CERTIFICATE_SUFFIX):
            try:
                pairs.append(self._pair(path))
            except KeyLocked as error:
                damage.append(Damage(path, error.reason))
            except CertificateError as error:
                # The key stays where it is: it cannot be had again, and with a mended chain it is good again.
                damage.append(_set_aside(path, error))
            except DurableError as error:
                damage.append(Damage(path, error.what))
        self._collect_keys()
        return tuple(sorted(pairs, key=lambda pair: pair.leaf.rank)), tuple(damage)

    def put(self, chain: tuple[Certificate, ...], key_pem: Secret) -> ClientCertificate:
        """Store a chain and its key, as `match` has returned them; durable when it returns. The key goes first.

        Raises:
            DurableError: the pair does not count.
        """
        durable.make_directory(self._directory)
        pair = self._files(chain, place_of(key_pem))
        durable.write(pair.key_file, key_pem.reveal())
        durable.write(pair.certificate_file, "".join(one.pem for one in chain).encode("ascii"))
        return pair

    def remove(self, pair: ClientCertificate) -> None:
        """Remove a chain and its key durably; the chain goes first, so that no chain is ever without its key.

        Raises:
            DurableError: one or both are still there.
        """
        durable.remove(pair.certificate_file)
        durable.remove(pair.key_file)

    def _collect_keys(self) -> None:
        names = [path.name for path in durable.files(self._directory, suffix="")]
        wanted = {name.partition(".")[0] for name in names if _CERTIFICATE_SUFFIX in name}  # chains set aside included
        for name in names:
            if name.endswith(_KEY_SUFFIX) and name.removesuffix(_KEY_SUFFIX) not in wanted:
                durable.remove(self._directory / name)

    def _pair(self, path: Path) -> ClientCertificate:
        chain = parse_chain(_text(path, MAX_PEM_CHARACTERS))
        _check_name(path, chain[0])
        pair = self._files(chain)
        if not pair.key_file.exists():
            raise CertificateError("its private key is not there")
        key = Secret(durable.read(pair.key_file, limit_bytes=MAX_PEM_CHARACTERS))
        match(chain, key, self._passphrase)
        return replace(pair, key_place=place_of(key))

    def _files(self, chain: tuple[Certificate, ...], key_place: str = "") -> ClientCertificate:
        name = chain[0].fingerprint
        return ClientCertificate(
            certificate_file=self._directory / f"{name}{_CERTIFICATE_SUFFIX}",
            key_file=self._directory / f"{name}{_KEY_SUFFIX}",
            chain=chain,
            key_place=key_place,
            key_passphrase=self._passphrase,
        )


def _text(path: Path, limit_bytes: int) -> str:
    # One more than is accepted, so that the parser sees when there is more.
    return durable.read(path, limit_bytes=limit_bytes + 1).decode("ascii", errors="replace")


def _set_aside(path: Path, error: CertificateError) -> Damage:
    return Damage(durable.set_aside(path), f"damaged and set aside: {error.reason}")


def _check_name(path: Path, certificate: Certificate) -> None:
    if path.stem != certificate.fingerprint:
        raise CertificateError("its content does not fit its name, the fingerprint")
