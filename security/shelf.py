"""The files of the certificate store: plain PEM, each named by the SHA-256 fingerprint of what it holds.

The name is the file's checksum: what does not fit its name, or cannot be parsed, is damaged and set aside, and the rest
goes on. A new certificate is a new name, so nothing that is good is ever overwritten.

- A root is one file, ``<fingerprint>.pem``.
- A Charge Point certificate is two: ``<fingerprint>.key`` is written first, ``<fingerprint>.pem`` (the chain) makes it
  count. A power cut between the two leaves a key without a chain: nobody was told that it is installed, and `load`
  collects it.

Not done here: the rules of what may be installed, and keeping two writers apart (store.py).
"""

from dataclasses import dataclass
from pathlib import Path

from security import durable
from security.certificate import MAX_PEM_CHARACTERS, Certificate, parse_chain, parse_one
from security.client_certificate import ClientCertificate, match
from security.errors import CertificateError, DurableError
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

    def load(self) -> tuple[tuple[Certificate, ...], tuple[Damage, ...]]:
        """Read all roots, oldest first; set aside what is damaged.

        Raises:
            DurableError: the directory cannot be read, or what is damaged cannot be moved.
        """
        durable.sweep(self._directory)
        roots, damage = [], []
        for path in durable.files(self._directory, suffix=_CERTIFICATE_SUFFIX):
            try:
                root = parse_one(_text(path))
                _check_name(path, root)
            except CertificateError as error:
                damage.append(_set_aside(path, error))
            except DurableError as error:
                damage.append(Damage(path, error.what))
            else:
                roots.append(root)
        return tuple(sorted(roots, key=lambda root: root.rank)), tuple(damage)

    def put(self, root: Certificate) -> None:
        """Store one root; durable when it returns.

        Raises:
            DurableError: it is not stored.
        """
        durable.make_directory(self._directory)
        durable.write(self._directory / f"{root.fingerprint}{_CERTIFICATE_SUFFIX}", root.pem.encode("ascii"))


class PairShelf:
    """The directory of the Charge Point certificates with their keys."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

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
            except CertificateError as error:
                # The key stays where it is: it cannot be had again, and with a mended chain it is good again.
                damage.append(_set_aside(path, error))
            except DurableError as error:
                damage.append(Damage(path, error.what))
        self._collect_keys()
        return tuple(sorted(pairs, key=lambda pair: pair.leaf.rank)), tuple(damage)

    def put(self, chain: tuple[Certificate, ...], key_pem: Secret) -> ClientCertificate:
        """Store a chain and its key; durable when it returns. The key goes first: see the module's text.

        Raises:
            DurableError: the pair does not count.
        """
        durable.make_directory(self._directory)
        pair = self._files(chain)
        durable.write(pair.key_file, key_pem.reveal())
        durable.write(pair.certificate_file, "".join(one.pem for one in chain).encode("ascii"))
        return pair

    def _collect_keys(self) -> None:
        names = [path.name for path in durable.files(self._directory, suffix="")]
        wanted = {name.partition(".")[0] for name in names if _CERTIFICATE_SUFFIX in name}  # chains set aside included
        for name in names:
            if name.endswith(_KEY_SUFFIX) and name.removesuffix(_KEY_SUFFIX) not in wanted:
                durable.remove(self._directory / name)

    def _pair(self, path: Path) -> ClientCertificate:
        chain = parse_chain(_text(path))
        _check_name(path, chain[0])
        pair = self._files(chain)
        if not pair.key_file.exists():
            raise CertificateError("its private key is not there")
        match(chain, Secret(durable.read(pair.key_file, limit_bytes=MAX_PEM_CHARACTERS)))
        return pair

    def _files(self, chain: tuple[Certificate, ...]) -> ClientCertificate:
        name = chain[0].fingerprint
        return ClientCertificate(
            certificate_file=self._directory / f"{name}{_CERTIFICATE_SUFFIX}",
            key_file=self._directory / f"{name}{_KEY_SUFFIX}",
            chain=chain,
        )


def _text(path: Path) -> str:
    # One more than the parser takes, so that it sees when there is more.
    return durable.read(path, limit_bytes=MAX_PEM_CHARACTERS + 1).decode("ascii", errors="replace")


def _set_aside(path: Path, error: CertificateError) -> Damage:
    return Damage(durable.set_aside(path), f"damaged and set aside: {error.reason}")


def _check_name(path: Path, certificate: Certificate) -> None:
    if path.stem != certificate.fingerprint:
        raise CertificateError("its content does not fit its name, the fingerprint")
