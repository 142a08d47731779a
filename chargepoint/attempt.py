"""What one attempt to connect is made with: profile, address, credentials and trust, as they are at that moment.

Pure data. An attempt that lacks a piece is not made, and never made in a weaker profile instead (A00.FR.001,
A00.FR.005): `impediment` says what is missing.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from chargepoint.failure import Failure
from security.fallback import Outcome
from security.profile import Piece, SecurityProfile, missing_pieces, url_fits
from security.secret import Secret
from security.server_name import is_ip_address
from security.tls import ClientKeyPair

REMEDY: Final[Mapping[Piece, str]] = {
    Piece.AUTHORIZATION_KEY: "set it with chargepoint configure AuthorizationKey=-",
    Piece.ROOT: "install it with chargepoint install FILE --as central-system-root",
    Piece.CERTIFICATE: "install it with chargepoint install FILE --as charge-point-certificate --key FILE",
}
"""The command that brings a missing piece."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to connect.

    Attributes:
        profile: the security profile.
        url: the address of the Central System, without the identity.
        identity: the Charge Point identity: end of the address and user name of HTTP Basic.
        authorization_key: the password, as a rule the bytes that the hex digits of AuthorizationKey stand for.
        roots: the installed CentralSystemRootCertificates that are in force, PEM.
        client_certificate: the Charge Point certificate and its key.
        tls_server_name: the name that the peer's certificate must bear where that is not the URL's host.
        allow_wildcards: the value of AllowCentralSystemTLSWildcards.
        fallback_roots: what the peer is verified with where `roots` do not verify it (M05.FR.13), PEM; never together.
    """

    profile: SecurityProfile
    url: str
    identity: str
    authorization_key: Secret | None = None
    roots: tuple[bytes, ...] = ()
    client_certificate: ClientKeyPair | None = None
    tls_server_name: str | None = None
    allow_wildcards: bool = False
    fallback_roots: tuple[bytes, ...] = ()

    @property
    def address(self) -> str:
        """The URL that is connected to: the identity is the last segment of its path, percent-encoded."""
        return f"{self.url.rstrip('/')}/{quote(self.identity, safe='')}"

    @property
    def uses_tls(self) -> bool:
        """Whether the channel is TLS: always in profiles 2 and 3, in profile 0 where the URL says so."""
        return urlsplit(self.url).scheme == "wss"

    @property
    def server_name(self) -> str:
        """The name that goes out as SNI and that the peer's certificate must bear."""
        return (self.tls_server_name or urlsplit(self.url).hostname or "").removesuffix(".")

    def headers(self) -> dict[str, str]:
        """Return the headers of ours in the upgrade: the Basic credentials in profiles 1 and 2, and nowhere else.

        A00.FR.202, 203, 204, 205 and A00.FR.301, 302, 303, 304. The credentials are made of bytes, because the
        password may hold any (docs/decisions/0010-authorization-key-hex-on-ocpp-bytes-in-http.md).
        """
        if not self.profile.sends_basic or self.authorization_key is None:
            return {}
        credentials = self.identity.encode() + b":" + self.authorization_key.reveal()
        return {"Authorization": "Basic " + base64.b64encode(credentials).decode("ascii")}

    def impediment(self, *, system_trust_store: bool) -> Failure | None:
        """Say why this attempt must not be made, None where it may (A00.FR.004).

        Args:
            system_trust_store: the machine's roots are trusted too, so that none needs to be installed.
        """
        if reason := url_fits(self.profile, self.url):
            return _not_made(reason, "correct [central_system] url, or urls for this profile")
        for piece in missing_pieces(
            self.profile,
            has_password=self.authorization_key is not None,
            has_root=bool(self.roots) or system_trust_store,
            has_certificate=self.client_certificate is not None,
        ):
            return Failure(f"security profile {self.profile} needs {piece}", REMEDY[piece])
        if not self.uses_tls:
            return None
        if not self.roots and not system_trust_store:
            return Failure(f"wss needs {Piece.ROOT}", REMEDY[Piece.ROOT])
        if is_ip_address(self.server_name):
            return _not_made("the URL holds an IP address, which no certificate bears", "set tls_server_name")
        return None


def _not_made(what: str, advice: str) -> Failure:
    return Failure(what, advice, outcome=Outcome.NOT_MADE)
