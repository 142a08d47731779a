"""The TLS rules of the simulated Central System as an `ssl.SSLContext`.

TLS 1.2 or newer (A00.FR.312, A00.FR.416), the four suites of A00.FR.317 and A00.FR.421 and those of TLS 1.3, no
compression (A00.FR.320), and in profile 3 a client certificate under a root of the CPO (A00.FR.403), whose key is as
strong as A00.FR.501 asks: OpenSSL's security level 2 is 112 bits.

OpenSSL knows only the machine's time. Where the Central System has a calendar of its own, no dates are judged here, and
admission.py does it.
"""

import ssl
from collections.abc import Sequence
from typing import Final

from chargepoint.simulation.authority import Authority, Issued
from chargepoint.simulation.pki import Pki

SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which `ssl` does not name


def server_context(
    certificates: Sequence[Issued],
    *,
    client_roots: bytes | None = None,
    maximum_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    judges_dates: bool = True,
) -> ssl.SSLContext:
    """Build the context of a listener.

    Args:
        certificates: what the server may show; one with an RSA and one with an EC key serve all four suites.
        client_roots: PEM of the roots that vouch for Charge Points; with them a client certificate is demanded.
        maximum_version: the newest TLS to speak, for tests of TLS 1.2.
        judges_dates: refuse a client certificate that is out of date by the machine's time.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # A00.FR.314, A00.FR.418: a client with less is shut out
    context.maximum_version = maximum_version
    context.set_ciphers(f"{':'.join(SUITES)}:@SECLEVEL=2")  # A00.FR.321, A00.FR.425: no forbidden suite is agreed to
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    for certificate in certificates:
        certificate.load_into(context)
    if client_roots is not None:
        context.load_verify_locations(cadata=client_roots.decode())
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a root that its predecessor has signed is one too
        if not judges_dates:
            context.verify_flags |= _NO_CHECK_TIME
        context.verify_mode = ssl.CERT_REQUIRED  # A00.FR.407: without a valid one the handshake ends here
    return context


class ServerTls:
    """What the Central System shows in TLS handshakes, and asks for.

    Args:
        pki: issues the good certificates.
        host: the name that they bear (A00.FR.306, A00.FR.410, A00.FR.510).
        maximum_version: the newest TLS to speak.
        judges_dates: refuse a client certificate that is out of date by the machine's time.
    """

    def __init__(self, pki: Pki, host: str, maximum_version: ssl.TLSVersion, *, judges_dates: bool = True) -> None:
        self._pki = pki
        self._host = host
        self._maximum_version = maximum_version
        self._judges_dates = judges_dates
        self._certificates: tuple[Issued, ...] = ()
        self._client_roots: tuple[Authority, ...] = ()
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def present(self, *certificates: Issued) -> None:
        """Show these from the next handshake on; none: good ones."""
        self._certificates = certificates
        self._contexts.clear()

    def trust(self, *roots: Authority) -> None:
        """Take client certificates under these from the next handshake on; none: under the PKI's own root."""
        self._client_roots = roots
        self._contexts.clear()

    def context(self, *, asks_certificate: bool) -> ssl.SSLContext:
        """Return the context for the next handshake, with or without a client certificate being demanded."""
        if asks_certificate not in self._contexts:
            self._certificates = self._certificates or self._good_certificates()
            self._contexts[asks_certificate] = server_context(
                self._certificates,
                client_roots=self._client_root_pems() if asks_certificate else None,
                maximum_version=self._maximum_version,
                judges_dates=self._judges_dates,
            )
        return self._contexts[asks_certificate]

    def _client_root_pems(self) -> bytes:
        return b"".join(root.pem for root in self._client_roots) or self._pki.root_pem

    def _good_certificates(self) -> tuple[Issued, Issued]:
        rsa = self._pki.server_certificate(self._host, key="rsa")
        return rsa, self._pki.server_certificate(self._host, key="ec")  # A00.FR.317: both kinds, side by side
