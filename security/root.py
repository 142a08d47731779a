"""One installed root: its certificate, how OCPP names it, and what it has taken the place of; and the text of its file.

The file is plain PEM that `openssl x509` reads. What a successor has to remember beyond its certificate stands in lines
before the PEM block, where RFC 7468 has explanatory text:

- the hashes of its issuer's key, because the issuer may be gone when the successor is listed or deleted (M03, M04);
- the root that stays as its fallback, and those that are gone (M05.FR.11).

So the write of this one file is a whole replacement, and a power cut leaves the roots before it or those after it. A
line that names a root which is not there means nothing.

Pure: no files (shelf.py), no rules of what may be installed (root_replacement.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, Self

from security.certificate import Certificate, parse_one
from security.errors import CertificateError
from security.hash_data import CertificateHashData, HashAlgorithm

MAX_FILE_BYTES: Final = 131_072  #: bytes; a certificate, and the fingerprints of as many roots as ever fit

_KEY_HASH: Final = "issuer key hash "
_FALLBACK: Final = "fallback"
_REPLACED: Final = "replaced"
_CHECK: Final = "check"
_LINE: Final = re.compile(r"([A-Za-z0-9 ]+): ([0-9A-Fa-f]+)")
_PEM_BEGIN: Final = "-----BEGIN "

_Notes = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Root:
    """An installed root; two are equal when their certificates are.

    Attributes:
        certificate: the certificate.
        hash_data: how OCPP names it, under each algorithm.
        fallback: fingerprint of the root that stays until this one has verified a good connection, "" for none.
        replaced: fingerprints of the roots that this one made superfluous.
    """

    certificate: Certificate
    hash_data: Mapping[HashAlgorithm, CertificateHashData] = field(compare=False)
    fallback: str = field(default="", compare=False)
    replaced: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def of(cls, certificate: Certificate, issuer: Certificate) -> Self:
        """Make a root of a certificate and the one that signed it: itself, or the root that it succeeds."""
        return cls(
            certificate, {each: CertificateHashData.compute(certificate, issuer, each) for each in HashAlgorithm}
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a root's file.

        Raises:
            CertificateError: it is damaged.
        """
        head, begin, block = text.partition(_PEM_BEGIN)
        certificate = parse_one(begin + block)
        notes = _parse_notes(head)
        root = (
            cls.of(certificate, certificate)
            if certificate.is_self_signed
            else cls(certificate, _named(certificate, notes))
        )
        return replace(root, fallback=notes.get(_FALLBACK, [""])[0], replaced=frozenset(notes.get(_REPLACED, ())))

    @property
    def text(self) -> str:
        """The content of its file."""
        notes = [] if self.certificate.is_self_signed else self._key_hash_notes()
        notes += [f"{_FALLBACK}: {self.fallback}\n"] if self.fallback else []
        notes += [f"{_REPLACED}: {name}\n" for name in sorted(self.replaced)]
        if not notes:
            return self.certificate.pem
        body = "".join(notes)
        return f"{body}{_CHECK}: {_checksum(body)}\n{self.certificate.pem}"

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its certificate."""
        return self.certificate.fingerprint

    def forgetting(self, fingerprint: str) -> Self:
        """Return the same root without a word of another: that one is to be installed in its own right."""
        fallback = "" if self.fallback == fingerprint else self.fallback
        return replace(self, fallback=fallback, replaced=self.replaced - {fingerprint})

    def mentions(self, fingerprint: str) -> bool:
        """Whether its file names another root."""
        return fingerprint == self.fallback or fingerprint in self.replaced

    def _key_hash_notes(self) -> list[str]:
        return [f"{_KEY_HASH}{algorithm}: {data.issuer_key_hash}\n" for algorithm, data in self.hash_data.items()]


def _named(certificate: Certificate, notes: _Notes) -> Mapping[HashAlgorithm, CertificateHashData]:
    try:
        return {
            algorithm: CertificateHashData.of(certificate, notes[f"{_KEY_HASH}{algorithm}"][0], algorithm)
            for algorithm in HashAlgorithm
        }
    except KeyError as error:
        raise CertificateError("what was known of its issuer is not there") from error


def _parse_notes(head: str) -> _Notes:
    """Read the lines before the PEM block, which have a checksum: the name of the file vouches for the block only."""
    notes: _Notes = {}
    if not head:
        return notes
    body, _, check = head.rpartition(f"{_CHECK}: ")
    if check != f"{_checksum(body)}\n":
        raise CertificateError("the lines before the PEM block do not fit their checksum")
    for line in body.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise CertificateError("a line before the PEM block is of an unknown kind")
        notes.setdefault(match[1], []).append(match[2])
    return notes


def _checksum(body: str) -> str:
    return sha256(body.encode("ascii", errors="replace")).hexdigest()
