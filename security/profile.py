"""The security profiles 0 to 3: what each one is made of, and what an upgrade to it takes.

| profile | transport | the Charge Point proves itself by | the Central System proves itself by |
|---|---|---|---|
| 0 | as the URL says | nothing | nothing (ws), a certificate (wss) |
| 1 | ws | HTTP Basic | nothing |
| 2 | wss | HTTP Basic | a certificate |
| 3 | wss | a certificate | a certificate |

Pure: no clock, no input or output. Every function answers None where all is well, else the reason in one line.

Not done here: keeping the profile (the configuration keys), when a new one is given up (A05.FR.08: fallback.py).
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum, StrEnum
from typing import Final
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}  #: TCP ports; RFC 6455, section 3


class SecurityProfile(IntEnum):
    """A value of the configuration key SecurityProfile. One is in use at a time (A00.FR.001)."""

    UNSECURED = 0
    BASIC = 1
    TLS_BASIC = 2
    TLS_CLIENT_CERTIFICATE = 3

    @property
    def needs_tls(self) -> bool:
        """Whether the channel has to be TLS (A00.FR.311, A00.FR.415)."""
        return self >= SecurityProfile.TLS_BASIC

    @property
    def sends_basic(self) -> bool:
        """Whether HTTP Basic credentials go with each connection request (A00.FR.202, A00.FR.301), and nowhere else."""
        return self in (SecurityProfile.BASIC, SecurityProfile.TLS_BASIC)

    @property
    def presents_certificate(self) -> bool:
        """Whether the Charge Point certificate is the TLS client certificate (A00.FR.401, A00.FR.402)."""
        return self is SecurityProfile.TLS_CLIENT_CERTIFICATE


class Piece(StrEnum):
    """What a profile may need; the value says what there is not."""

    AUTHORIZATION_KEY = "an AuthorizationKey, and none is set"
    ROOT = "a CentralSystemRootCertificate, and none is installed"
    CERTIFICATE = "a Charge Point certificate, and none is installed"


def missing_pieces(
    profile: SecurityProfile, *, has_password: bool, has_root: bool, has_certificate: bool
) -> Iterator[Piece]:
    """Yield what the Charge Point lacks to connect in a profile (A05.FR.02, A05.FR.03, A05.FR.04).

    Args:
        profile: the profile to connect in.
        has_password: a valid AuthorizationKey is set.
        has_root: a valid CentralSystemRootCertificate is installed.
        has_certificate: a valid Charge Point certificate with its key is installed.
    """
    if profile.sends_basic and not has_password:  # A05.FR.02
        yield Piece.AUTHORIZATION_KEY
    if profile.needs_tls and not has_root:  # A05.FR.03
        yield Piece.ROOT
    if profile.presents_certificate and not has_certificate:  # A05.FR.04
        yield Piece.CERTIFICATE


def missing_prerequisite(
    target: SecurityProfile,
    *,
    current: SecurityProfile,
    has_password: bool,
    has_root: bool,
    has_certificate: bool,
) -> str | None:
    """Say why an upgrade by ChangeConfiguration.req cannot be accepted; None allows it (A05.FR.01 to A05.FR.05).

    Skipping a profile (0 to 2, 1 to 3) is not forbidden. Lowering one is outside OCPP (A00.FR.005): the local door
    does not ask this function.
    """
    if target <= current:  # A05.FR.01
        return f"security profile {target} is not higher than the current {current}"
    missing = missing_pieces(target, has_password=has_password, has_root=has_root, has_certificate=has_certificate)
    return next((f"security profile {target} needs {piece}" for piece in missing), None)


def url_fits(profile: SecurityProfile, url: str) -> str | None:
    """Say why the Central System's URL cannot be used in a profile, None where it can.

    The URL is what stands before the Charge Point identity; the identity is appended as the last segment of its path.
    Credentials in it are refused: they would go out in profiles that send none (A00.FR.401), and into logs.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    if parts.scheme not in DEFAULT_PORTS:
        return "the URL begins with ws:// or wss://"
    if not parts.hostname or port == 0:
        return "the URL names no host, or port 0"
    if "@" in parts.netloc:
        return "credentials do not belong into the URL; the password is the AuthorizationKey"
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        return "the URL ends with a path: the Charge Point identity is appended to it"
    if profile is SecurityProfile.BASIC and parts.scheme != "ws":
        return "security profile 1 needs a ws:// URL"
    if profile.needs_tls and parts.scheme != "wss":  # A00.FR.311, A00.FR.415
        return f"security profile {profile} needs a wss:// URL"
    return None


def url_for(profile: SecurityProfile, url: str, urls: Mapping[int, str]) -> str:
    """Return the address of the Central System in a profile, after an upgrade for instance (A05.FR.07).

    Args:
        profile: the profile to connect in.
        url: the address that was configured for the first profile.
        urls: profile -> its own address, where it has one.

    Returns:
        The profile's own address; else `url` with its scheme, and its port where that is the scheme's default one,
        switched to what the profile needs. Profile 0 keeps the scheme of the URL.
    """
    if profile in urls:
        return urls[profile]
    parts = urlsplit(url)
    scheme = {SecurityProfile.UNSECURED: parts.scheme, SecurityProfile.BASIC: "ws"}.get(profile, "wss")
    if scheme == parts.scheme:
        return url
    return _without_default_port(parts)._replace(scheme=scheme).geturl()


def _without_default_port(parts: SplitResult) -> SplitResult:
    if parts.port is None or parts.port != DEFAULT_PORTS.get(parts.scheme):
        return parts
    return parts._replace(netloc=parts.netloc.rpartition(":")[0])
