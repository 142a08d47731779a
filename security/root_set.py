"""The roots of one domain, and which of them are in force.

The fallback root is the one that a successor's file names and that is still there (root.py). It is installed, listed
and may be deleted like the others, but it vouches only where those in force do not (M05.FR.13).

Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from security.hash_data import CertificateHashData
from security.root import Root


@dataclass(frozen=True, slots=True)
class RootSet:
    """Roots, oldest first, each once."""

    roots: tuple[Root, ...] = ()

    @classmethod
    def of(cls, roots: Iterable[Root]) -> Self:
        """Put roots in order; what one of them has replaced is left out."""
        present = tuple(roots)
        gone = frozenset().union(*(root.replaced for root in present))
        kept = (root for root in present if root.fingerprint not in gone)
        return cls(tuple(sorted(kept, key=lambda root: root.certificate.rank)))

    @property
    def fallback(self) -> Root | None:
        """The root that was replaced and stays until its successor has verified a good connection."""
        named = {root.fallback for root in self.roots}
        return next((root for root in self.roots if root.fingerprint in named), None)

    @property
    def in_force(self) -> tuple[Root, ...]:
        """All but the fallback root."""
        fallback = self.fallback
        return tuple(root for root in self.roots if root != fallback)

    def find(self, fingerprint: str | None) -> Root | None:
        """Return the root with a fingerprint."""
        return next((root for root in self.roots if root.fingerprint == fingerprint), None)

    def named(self, data: CertificateHashData) -> tuple[Root, ...]:
        """Return the roots that these hash data name, whatever their algorithm."""
        return tuple(root for root in self.roots if root.hash_data[data.hash_algorithm] == data)

    def without(self, *roots: Root) -> Self:
        """Return the set without some of its roots."""
        return type(self)(tuple(root for root in self.roots if root not in roots))
