"""The rules of TLS towards the Central System: what we offer, whom we trust, and how the peer is judged.

OpenSSL checks path, signatures, purpose and strength of the peer's chain during the handshake (A00.FR.307, A00.FR.411).
`judge_peer` checks the rest afterwards, and its caller must send nothing before it has returned: version, suite,
compression, name, and the validity of every certificate of the verified chain by the agent's own clock, because OpenSSL
knows only the C library's (X509_V_FLAG_NO_CHECK_TIME is set).

Not done here: sockets, the mapping of OpenSSL's failures (tls_fault.py), revocation.

The certificate of the Central System is never pinned: any that its CA issues for its name is as good (A00.FR.307).
"""

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from security.event import SecurityEventType
from security.handshake import describe_chain
from security.secret import Secret
from security.server_name import is_ip_address, name_matches
from security.tls_fault import TlsFault

if TYPE_CHECKING:
    from cryptography import x509

# Best first. TLS 1.3's own suites always come before these; `ssl` has no switch for them, and all of them are good.
# docs/decisions/0043-cipher-suites.md
SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",  # pair A of A00.FR.318, with forward secrecy
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",  # not named by the white paper, nor forbidden: servers with an RSA certificate
    "ECDHE-RSA-AES256-GCM-SHA384",
)
STATIC_RSA_SUITES: Final = (
    "AES128-GCM-SHA256",  # pair B of A00.FR.318, without forward secrecy
    "AES256-GCM-SHA384",
)
# Set here, so that no distribution's default counts: every key and signature of the peer's chain has to reach it.
SECURITY_LEVEL: Final = 2  #: OpenSSL's level; 112 bits of strength: RSA 2048, EC 224, no SHA-1 (A00.FR.501 to 504)
VERSIONS: Final = ("TLSv1.2", "TLSv1.3")  # A00.FR.312, A00.FR.416

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which `ssl` does not name
_DER: Final = 2  # ENCODING_DER of the private module _ssl


class ClientKeyPair(Protocol):
    """What is needed of the Charge Point certificate: a PEM file with its chain, and one with its key."""

    @property
    def certificate_file(self) -> Path:
        """PEM: the certificate, then the intermediate certificates."""

    @property
    def key_file(self) -> Path:
        """PEM: the private key, or the name of one that a provider of OpenSSL keeps."""

    @property
    def key_passphrase(self) -> Secret | None:
        """What opens the private key if it is encrypted."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The Central System as TLS has shown it.

    Attributes:
        version: "TLSv1.2" or "TLSv1.3".
        suite: OpenSSL's name of the cipher suite.
        chain: the verified chain, DER, leaf first, root last.
        names: the commonNames and dNSNames of the leaf.
        root: the installed root that it rests on, DER; None where it is none of them ([interop] system_trust_store).
    """

    version: str
    suite: str
    chain: tuple[bytes, ...]
    names: tuple[str, ...]
    root: bytes | None = None


def client_context(
    *,
    roots: Sequence[bytes],
    client_certificate: ClientKeyPair | None = None,
    static_rsa: bool = True,
    system_trust_store: bool = False,
    now: datetime | None = None,
) -> ssl.SSLContext:
    """Make the context of one connection; the protocol is as OpenSSL has it, unmodified (A00.FR.316, A00.FR.420).

    Args:
        roots: the installed CentralSystemRootCertificates, PEM; only they are trusted.
        client_certificate: the Charge Point certificate, profile 3 only (A00.FR.401, A00.FR.402).
        static_rsa: offer pair B too.
        system_trust_store: trust the machine's roots as well ([interop]).
        now: the agent's time, None while its clock is not set.

    Raises:
        TlsFault: a root or the Charge Point certificate cannot be loaded; no event, the fault is ours.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the peer and, unlike the default one, trusts nobody
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # A00.FR.312, A00.FR.416; 1.0 and 1.1 are never offered
    context.options |= ssl.OP_NO_COMPRESSION  # A00.FR.320, A00.FR.424
    context.options |= ssl.OP_NO_RENEGOTIATION  # a second handshake could show another certificate, which nobody judges
    suites = SUITES + STATIC_RSA_SUITES if static_rsa else SUITES  # A00.FR.318, A00.FR.319, A00.FR.422, A00.FR.423
    context.set_ciphers(":".join((f"@SECLEVEL={SECURITY_LEVEL}", *suites)))
    context.check_hostname = False  # judge_peer decides: OpenSSL takes a wildcard commonName, which TC_078 refuses
    context.verify_flags |= _NO_CHECK_TIME
    # A trusted root need not be self-signed: a new root that the old one has cross-signed ends the path by itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if system_trust_store:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    try:
        for root in _in_date_first(roots, now):
            context.load_verify_locations(cadata=root.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise TlsFault(
            "an installed CentralSystemRootCertificate cannot be loaded", advice="install it again", event=None
        ) from error
    if client_certificate is not None:
        _load_client_certificate(context, client_certificate)
    return context


def judge_peer(
    ssl_object: ssl.SSLObject,
    *,
    host: str,
    now: datetime | None,
    allow_wildcards: bool,
    roots: Sequence[bytes] = (),
) -> Peer:
    """Judge the peer of a finished handshake; nothing may be sent to it before this has returned.

    Args:
        ssl_object: the connection, whose path OpenSSL has verified.
        host: the name that the certificate has to bear.
        now: the agent's time, None while its clock is not set: then no certificate is judged by its dates
            (docs/decisions/0044-clock-not-set.md).
        allow_wildcards: the value of AllowCentralSystemTLSWildcards.
        roots: the installed roots that the context was made with, PEM.

    Raises:
        TlsFault: the connection must be ended (A00.FR.310, A00.FR.315, A00.FR.322, A00.FR.414, A00.FR.419,
            A00.FR.426); its `event` has to be raised.
    """
    chain = verified_chain(ssl_object)
    try:
        version, suite = _judge_channel(ssl_object)
        names = _judge_chain(chain, host=host, now=now, allow_wildcards=allow_wildcards)
    except TlsFault as fault:
        fault.peer = describe_chain(chain)
        raise
    return Peer(version, suite, chain, names, _trust_anchor(chain, roots))


def verified_chain(ssl_object: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the chain that OpenSSL verified, DER, leaf first, root last.

    `SSLObject.get_verified_chain` is public from 3.13 on. Before that it exists only on the private object below, and
    returns certificates of a private type.
    """
    if hasattr(ssl_object, "get_verified_chain"):
        return tuple(ssl_object.get_verified_chain())
    private = ssl_object._sslobj  # type: ignore[attr-defined]
    return tuple(certificate.public_bytes(_DER) for certificate in private.get_verified_chain() or ())


def _trust_anchor(chain: Sequence[bytes], roots: Sequence[bytes]) -> bytes | None:
    """Return the installed root at the end of the chain (docs/decisions/0062-root-in-use.md).

    With partial chains OpenSSL ends the path at the first installed root that it meets. So of a root and its successor,
    both installed, the older one is not in the chain, and is neither in use nor in the way when it expires.
    """
    installed = {ssl.PEM_cert_to_DER_cert(root.decode("ascii")) for root in roots}
    return chain[-1] if chain[-1] in installed else None


def _judge_channel(ssl_object: ssl.SSLObject) -> tuple[str, str]:
    version = ssl_object.version() or "none"
    if version not in VERSIONS:  # A00.FR.313, A00.FR.315, A00.FR.417, A00.FR.419
        raise TlsFault(
            f"the peer uses {version}",
            advice="let the Central System offer TLS 1.2 or 1.3 (A00.FR.312)",
            event=SecurityEventType.INVALID_TLS_VERSION,
        )
    suite = (ssl_object.cipher() or ("none",))[0]
    accepted = suite in SUITES + STATIC_RSA_SUITES or version == "TLSv1.3"
    if not accepted or ssl_object.compression():  # A00.FR.318, A00.FR.322, A00.FR.422, A00.FR.426
        raise TlsFault(
            f"the peer uses the cipher suite {suite}, compression {ssl_object.compression() or 'none'}",
            advice="let the Central System offer the cipher suites of A00.FR.317, and no compression",
            event=SecurityEventType.INVALID_TLS_CIPHER_SUITE,
        )
    return version, suite


def _judge_chain(chain: Sequence[bytes], *, host: str, now: datetime | None, allow_wildcards: bool) -> tuple[str, ...]:
    from cryptography import x509  # not imported before there is a peer to judge

    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        names = tuple(_names(certificates[0]))
        faults = list(_validity_faults(certificates, now))
    except Exception as error:  # whatever `cryptography` makes of it: a peer that cannot be judged is refused
        raise _invalid_certificate("the peer's certificate cannot be read") from error
    if not name_matches(names, host, allow_wildcards=allow_wildcards):  # A00.FR.308, A00.FR.412
        ip_hint = "; set tls_server_name, an IP address is no name" if is_ip_address(host) else ""
        faults.append(f"the peer's certificate is not for {host}{ip_hint}")
    if faults:  # A00.FR.309, A00.FR.413
        raise _invalid_certificate("; ".join(faults))
    return names


def _validity_faults(certificates: "Sequence[x509.Certificate]", now: datetime | None) -> Iterator[str]:
    if now is None:
        return
    for index, certificate in enumerate(certificates):
        which = "the peer's certificate" if index == 0 else "a CA certificate of the peer's chain"
        if now > certificate.not_valid_after_utc:
            yield f"{which} has expired"
        elif now < certificate.not_valid_before_utc:
            yield f"{which} is not valid yet"


def _names(leaf: "x509.Certificate") -> Iterator[str]:
    from cryptography import x509

    for attribute in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
        yield str(attribute.value)
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    yield from extension.value.get_values_for_type(x509.DNSName)


def _invalid_certificate(what: str) -> TlsFault:
    return TlsFault(
        what,
        advice="look at the names and dates of the Central System's certificate, and at this Charge Point's clock",
        event=SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE,
    )


def _in_date_first(roots: Sequence[bytes], now: datetime | None) -> list[bytes]:
    """Leave out a root that is out of date where another of the same subject is in date.

    A CA often renews its root with the same name and key. Told to ignore time, OpenSSL would end the path at either of
    the two, and the old one would then be held against the peer.
    """
    from cryptography import x509

    if now is None or len(roots) < 2:
        return list(roots)
    parsed = [(root, x509.load_pem_x509_certificate(root)) for root in roots]
    in_date = {c.subject for _, c in parsed if c.not_valid_before_utc <= now <= c.not_valid_after_utc}
    return [
        root for root, c in parsed if c.not_valid_before_utc <= now <= c.not_valid_after_utc or c.subject not in in_date
    ]


def _load_client_certificate(context: ssl.SSLContext, pair: ClientKeyPair) -> None:
    # Without a password of ours, OpenSSL would ask a terminal for the one of an encrypted key.
    password = pair.key_passphrase.reveal() if pair.key_passphrase else b""
    try:
        context.load_cert_chain(pair.certificate_file, pair.key_file, password)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise TlsFault(
            f"the Charge Point certificate or its key cannot be loaded ({reason})",
            advice="install both again (chargepoint install FILE --as charge-point-certificate --key FILE)",
            event=None,
        ) from error
