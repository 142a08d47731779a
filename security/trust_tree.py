"""One tree of trust: the roots of one domain, on the disk and in memory, and every change of them.

The trees of section 2.6.2 never vouch for each other: a tree knows no other, and what signs a successor is looked for
in its own.

Guaranteed: a change is on the disk before it shows, and one power cut leaves the tree before it or the one after it.

Not done here: the rules (root_replacement.py), the files (shelf.py), keeping two writers apart (store.py).
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from security import durable
from security.certificate import Certificate
from security.errors import DurableError
from security.outcome import Installation, InstallResult
from security.root import Root
from security.root_replacement import Admission, Refusal, admit
from security.root_set import RootSet
from security.shelf import Damage, RootShelf


class TrustTree:
    """The roots of one domain.

    Attributes:
        roots: what is installed; replaced as a whole, so that readers need no lock.
    """

    def __init__(self, directory: Path) -> None:
        self.roots = RootSet()
        self._directory = directory
        self._shelf = RootShelf(directory)
        self._proven: str | None = None

    def load(self) -> tuple[Damage, ...]:
        """Read the roots from the disk.

        Raises:
            DurableError: the directory cannot be read or tidied up.
        """
        self.roots, damage = self._shelf.load()
        return damage

    def install(
        self, certificate: Certificate, now: datetime | None, *, one_at_a_time: bool, room: int
    ) -> Installation:
        """Install a certificate that could be a root; the same one again is Accepted and stored once.

        Args:
            certificate: found good by `judge_authority`.
            now: the agent's time, None while its clock is not set.
            one_at_a_time: whether it has to be signed by the root that it replaces (M05.FR.09).
            room: how many more roots fit (M05.FR.03); a replacement needs none, its fallback root goes again.

        Returns:
            What became of it; durable if Accepted, the tree unchanged if not.
        """
        known = self.roots.find(certificate.fingerprint)
        if known is not None and known != self.roots.fallback:
            return Installation(InstallResult.ACCEPTED, certificate=certificate, is_new=False)
        if known is not None:
            return self._reinstate(known, one_at_a_time=one_at_a_time)
        admission = admit(certificate, self.roots, now, one_at_a_time=one_at_a_time, proven=self._proven)
        if isinstance(admission, Refusal):
            return admission.of(certificate)
        if admission.fallback is None and room <= 0:
            reason = "the certificate store is full (CertificateStoreMaxLength)"
            return Refusal(InstallResult.CERTIFICATE_STORE_MAX_LENGTH_EXCEEDED, reason).of(certificate)
        if error := self._change(lambda: self._put(admission)):
            return Refusal(InstallResult.WRITE_ERROR, str(error)).of(certificate)
        return Installation(
            InstallResult.ACCEPTED,
            certificate=certificate,
            fallback=admission.fallback.certificate if admission.fallback else None,
            removed=tuple(root.certificate for root in admission.removed),
        )

    def remove(self, root: Root) -> DurableError | None:
        """Remove a root; returns why it is still there, None where it is gone."""

        def remove() -> RootSet:
            self._shelf.remove(root)
            return self.roots.without(root)

        return self._change(remove)

    def confirm(self, der: bytes) -> Certificate | None:
        """Take note that a root has verified a good connection; the fallback root then has had its time (M05.FR.12).

        Returns:
            The fallback root that is gone because of it, None where none is.

        Raises:
            DurableError: the fallback root could not be removed; it stays.
        """
        root = next((each for each in self.roots.roots if each.certificate.der == der), None)
        fallback = self.roots.fallback
        if root is None:
            return None
        self._proven = root.fingerprint
        if fallback is None or root == fallback:
            return None
        if error := self.remove(fallback):
            raise error
        return fallback.certificate

    def _reinstate(self, fallback: Root, *, one_at_a_time: bool) -> Installation:
        """Answer for the fallback root that is to be installed again."""
        if one_at_a_time:  # M05.FR.10
            reason = "it is the fallback root; the deletion of its successor brings it back"
            return Refusal(InstallResult.INVALID_CERTIFICATE_CHAIN, reason).of(fallback.certificate)
        if error := self._change(lambda: self._forget(fallback.fingerprint)):
            return Refusal(InstallResult.WRITE_ERROR, str(error)).of(fallback.certificate)
        return Installation(InstallResult.ACCEPTED, certificate=fallback.certificate)

    def _put(self, admission: Admission) -> RootSet:
        before = self._forget(admission.root.fingerprint)
        self._shelf.put(admission.root)
        after = RootSet.of((*before.roots, admission.root))
        for root in before.without(*after.roots).roots:
            with suppress(DurableError):  # it counts no more; whatever is left of it goes at the next start
                self._shelf.remove(root)
        return after

    def _forget(self, fingerprint: str) -> RootSet:
        """Let no file name a root as replaced, before that one is installed: it would be removed at the next start."""
        roots = list(self.roots.roots)
        for index, root in enumerate(roots):
            if root.mentions(fingerprint):
                roots[index] = root.forgetting(fingerprint)
                self._shelf.put(roots[index])
        return RootSet.of(roots)

    def _change(self, change: Callable[[], RootSet]) -> DurableError | None:
        """Write to the disk, then show it; if the disk fails, show what is on it."""
        try:
            durable.make_directory(self._directory.parent)
            self.roots = change()
        except DurableError as error:
            with suppress(DurableError):
                self.load()
            return error
        return None
