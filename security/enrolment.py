"""The life of the Charge Point certificate, kept on the disk: the request, its key pair, and which certificate works.

Guaranteed: each step is on the disk when its method returns, as one write of one file beside the certificates, so that
a power cut leaves the step before or the step after it. The key pair of a request lies in that file until its
certificate is installed; a request that is replaced or ends takes its key with it, so that no key is ever without an
owner. After `open` nothing is read from the disk again.

Not done here: the rules (certificate_life.py, signed_certificate.py), the installed certificates (store.py), sending,
waiting, and telling people (the roof).

- The methods are synchronous and may be called from any thread; one after the other.
- An installation is two steps, first the certificate, then the end of its request. A power cut between them leaves a
  request whose certificate is there: `open` ends it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from security import durable
from security.certificate import Certificate, parse_chain
from security.certificate_life import choose, discardable, dispensable
from security.client_certificate import ClientCertificate
from security.enrolment_state import EnrolmentState, Request, Stage
from security.errors import CertificateError, KeyStoreError
from security.keys import KeyStore, fingerprint, lock, read_key
from security.reception import Reception
from security.shelf import Damage
from security.signed_certificate import Expectation, judge
from security.signing_request import signing_request
from security.store import MAX_CHARGE_POINT_CERTIFICATES, CaDomain, CertificateStore

MAX_STATE_BYTES: Final = 131_072  #: bytes; a key, a request, and some words about each installed certificate

FILE_NAME: Final = "enrolment.json"
"""Beside the directories of the certificates."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a good connection means for newer certificates that had their turn in vain.

    Attributes:
        given_up: they are not tried again unless nothing else is valid.
        doubted: they stand back for a while (reception.py).
    """

    given_up: tuple[Certificate, ...] = ()
    doubted: tuple[Certificate, ...] = ()


class Enrolment:
    """The Charge Point certificate from its request to its end; made by `open`.

    Attributes:
        keys: where new private keys live.
        damage: the file itself, if it had to be set aside: the pending request is lost then.
    """

    def __init__(self, store: CertificateStore, keys: KeyStore) -> None:
        self.keys: Final = keys
        self.damage: Damage | None = None
        self._store = store
        self._path = store.directory / FILE_NAME
        self._state = EnrolmentState()
        self._reception = Reception()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, store: CertificateStore, keys: KeyStore) -> Self:
        """Read the file, and finish what a power cut has left.

        Raises:
            DurableError: it cannot be read, or not be set aside if it is damaged.
        """
        enrolment = cls(store, keys)
        enrolment._load()
        enrolment._end_request_of_installed()
        return enrolment

    @property
    def state(self) -> EnrolmentState:
        """What is known."""
        return self._state

    @property
    def certificates(self) -> tuple[ClientCertificate, ...]:
        """All Charge Point certificates that are installed, oldest first."""
        return self._store.charge_point_certificates

    def choose(self, now: datetime | None) -> ClientCertificate | None:
        """Return the certificate of the next attempt to connect; None if there is none.

        Args:
            now: the agent's time, None while its clock is not set.
        """
        reception = self._reception
        return choose(self.certificates, now, self._state, reception.turns(now), reception.doubted(now))

    def doubt_ends(self, now: datetime | None) -> datetime | None:
        """Return when `choose` may change because a certificate stands back no more; None where none does."""
        return self._reception.next_end(now)

    def want(self, now: datetime | None, *, triggered: bool) -> None:
        """Begin a request; one that was pending is replaced, and its key forgotten.

        Raises:
            DurableError: it was not begun.
        """
        self._change(lambda state: replace(state, request=Request(Stage.WANTED, triggered, now)))

    def make_request(self, *, serial_number: str, organisation: str) -> None:
        """Make the key pair and the request that are wanted (A02.FR.02, A02.FR.03, A03.FR.02, A03.FR.03).

        Raises:
            KeyStoreError: there is no key pair; it is still wanted.
            DurableError: likewise.
        """
        key = self.keys.generate()
        try:
            csr = signing_request(key, serial_number=serial_number, organisation=organisation)
        except ValueError as error:  # half a surrogate pair, which CpoName may hold and no certificate
            raise KeyStoreError("no subject can be made of CpoName and the serial number") from error

        def own(state: EnrolmentState) -> EnrolmentState:
            request = state.request
            if request is None or request.stage is not Stage.WANTED:
                return state
            return replace(state, request=replace(request, stage=Stage.OWED, csr=csr, key=key.pem))

        self._change(own)

    def note_answer(self, csr: str, *, accepted: bool) -> None:
        """Take note of the SignCertificate.conf to a request; that of one which was replaced meanwhile says nothing.

        Raises:
            DurableError: the request is still owed.
        """

        def answered(state: EnrolmentState) -> EnrolmentState:
            request = state.request
            if request is None or request.csr != csr or request.stage is not Stage.OWED:
                return state
            after = (
                replace(request, stage=Stage.ANSWERED)
                if accepted
                else replace(request, stage=Stage.ENDED, csr="", key=None)
            )
            return replace(state, request=after)

        self._change(answered)

    def judge(
        self, text: str, now: datetime | None, *, serial_number: str, max_characters: int
    ) -> tuple[Certificate, tuple[str, ...]]:
        """Judge a certificate that came by CertificateSigned.req; see signed_certificate.py.

        Raises:
            CertificateError: why it is not the one that was asked for.
        """
        request = self._state.request
        roots = (*self._store.roots(CaDomain.CENTRAL_SYSTEM), *self._store.roots(CaDomain.CHARGE_POINT_ISSUER))
        wanted = Expectation(
            request.key if request else None,
            request.csr if request else "",
            serial_number,
            roots,
            max_characters,
            self._store.key_passphrase,
        )
        return judge(text, wanted, now)

    def is_installed(self, text: str) -> bool:
        """Tell whether a certificate that came is installed already: its CertificateSigned.conf did not arrive.

        Raises:
            CertificateError: it cannot be read.
        """
        certificates = parse_chain(text)
        return any(pair.leaf in certificates for pair in self.certificates)

    def make_room(self, now: datetime | None) -> ClientCertificate | None:
        """Remove an installed certificate where another one would not fit; returns it.

        Raises:
            DurableError: it is still there.
        """
        if len(self.certificates) < MAX_CHARGE_POINT_CERTIFICATES:
            return None
        least = dispensable(self._state, self.certificates, now)
        self._store.remove_charge_point_certificate(least)
        return least

    def note_installed(self) -> None:
        """Forget the request whose certificate is installed.

        Raises:
            DurableError: it is pending still; the next start ends it.
        """
        self._end_request_of_installed()

    def note_good_connection(self, leaf: Certificate, now: datetime | None) -> Aftermath:
        """Take note that a certificate has made a good connection (A02.FR.10, A03.FR.10).

        Args:
            leaf: the certificate.
            now: the agent's time, None while its clock is not set: then nothing is given up, and what was refused keeps
                standing back.

        Returns:
            What becomes of newer ones that the Central System has refused, or hung up on, before they ever worked.

        Raises:
            DurableError: it will be noted by the next connection.
        """
        age, proven_before = self._state.age(leaf), self._state.proven
        newer = {
            pair.leaf.fingerprint: pair.leaf
            for pair in self.certificates
            if self._state.age(pair.leaf) > age and pair.leaf.fingerprint not in proven_before
        }
        verdicts = self._reception.weigh(newer, now)

        def proven(state: EnrolmentState) -> EnrolmentState:
            if leaf.fingerprint not in state.proven:
                state = replace(
                    state,
                    proven={**state.proven, leaf.fingerprint: now},
                    given_up={name: since for name, since in state.given_up.items() if name != leaf.fingerprint},
                )
            return replace(state, given_up={**dict.fromkeys(verdicts.given_up, now), **state.given_up})

        self._change(proven)
        # Only now: else a disk that fails would have the refused one tried again at once.
        self._reception.settle(leaf.fingerprint, verdicts, now)
        return Aftermath(
            tuple(newer[name] for name in verdicts.given_up), tuple(newer[name] for name in verdicts.doubted)
        )

    def note_refusal(self, leaf: Certificate, now: datetime | None) -> None:
        """Take note that the Central System has refused the connection because of a certificate.

        Args:
            leaf: the certificate.
            now: the agent's time, None while its clock is not set.
        """
        self._reception.note_refusal(leaf.fingerprint, now)

    def note_hang_up(self, leaf: Certificate, now: datetime | None) -> None:
        """Take note that the Central System has asked for a certificate and hung up on it; as above."""
        self._reception.note_hang_up(leaf.fingerprint, now)

    def note_turn(self, leaf: Certificate, now: datetime | None) -> None:
        """Take note of a try that came to nothing and says nothing about the certificate.

        It counts for a certificate that stands in for another: that has one turn at a time, whatever comes of it.
        Else a Central System that leaves the old certificate without an answer would keep the new one away for ever.

        Args:
            leaf: the certificate.
            now: the agent's time, None while its clock is not set.
        """
        reception = self._reception
        first = choose(self.certificates, now, self._state, doubted=reception.doubted(now))
        if first is not None and first.leaf != leaf and reception.turns(now):
            reception.note_turn(leaf.fingerprint, now)

    def note_warning(self, leaf: Certificate, days: int) -> None:
        """Take note that people were warned of the end of a certificate.

        Raises:
            DurableError: they will be warned again after the next start.
        """
        self._change(lambda state: replace(state, warned={**state.warned, leaf.fingerprint: days}))

    def note_time(self, now: datetime) -> None:
        """Date what happened while the clock was not set.

        Raises:
            DurableError: it is dated later.
        """
        self._change(lambda state: state.with_time(now))

    def discard(self, now: datetime | None) -> tuple[ClientCertificate, ...]:
        """Remove the certificates that were kept long enough, each with its key; returns them.

        Raises:
            DurableError: some are still there.
        """
        old = discardable(self._state, self.certificates, now)
        for pair in old:
            self._store.remove_charge_point_certificate(pair)
        return old

    def _change(self, step: Callable[[EnrolmentState], EnrolmentState]) -> None:
        """Make one step: on the disk first, then in memory."""
        with self._lock:
            after = step(self._state)
            if after == self._state:
                return
            after = self._locked(after.about({pair.leaf.fingerprint for pair in self.certificates}))
            durable.make_directory(self._store.directory)
            durable.write(self._path, after.to_json())
            self._state = after

    def _locked(self, state: EnrolmentState) -> EnrolmentState:
        """Encrypt a pending key that an earlier start, without a passphrase, has left unencrypted."""
        request = state.request
        if request is None or request.key is None:
            return state
        try:
            return replace(state, request=replace(request, key=lock(request.key, self._store.key_passphrase)))
        except CertificateError:  # no key that anybody could use
            return state

    def _load(self) -> None:
        durable.sweep(self._store.directory)  # what a power cut has left of this file holds a private key
        if not self._path.exists():
            return
        content = durable.read(self._path, limit_bytes=MAX_STATE_BYTES + 1)
        try:
            self._state = EnrolmentState.from_json(content[:MAX_STATE_BYTES])
        except ValueError:
            self.damage = Damage(durable.set_aside(self._path), "damaged and set aside: a pending request is lost")

    def _end_request_of_installed(self) -> None:
        installed = {fingerprint(pair.leaf.public_key): pair.leaf for pair in self.certificates}

        def ended(state: EnrolmentState) -> EnrolmentState:
            request = state.request
            leaf = installed.get(self._public_key(request) or "") if request else None
            if request is None or leaf is None:
                return state
            return replace(state, request=None, latest=leaf.fingerprint, asked_at=request.asked_at)

        self._change(ended)

    def _public_key(self, request: Request) -> str | None:
        try:
            return read_key(request.key, self._store.key_passphrase)[0] if request.key else None
        except CertificateError:
            return None
