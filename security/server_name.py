"""The one rule that says whether a certificate bears the Central System's name (A00.FR.308, A00.FR.412).

- A name of the certificate (a commonName, or a dNSName of its subjectAltName) equals the host, whatever the case, a
  trailing dot, or the spelling of an international name (U-labels or A-labels).
- A wildcard matches only where AllowCentralSystemTLSWildcards permits it: it is the whole left-most label, stands for
  exactly one label, and has at least two labels to its right.
- An IP address is no name: white paper edition 2 took it out of A00.FR.308.

The reasons are in docs/decisions/0011-server-name-cn-san-and-wildcards.md. Pure: no clock, no input or output.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final

WILDCARD: Final = "*."
MIN_LABELS_BELOW_WILDCARD: Final = (
    2  #: labels; a wildcard below a top-level domain would match strangers (RFC 6125, 7.2)
)


def name_matches(names: Iterable[str], host: str, *, allow_wildcards: bool) -> bool:
    """Return whether one of a certificate's names is the host's.

    Args:
        names: commonNames and dNSNames as they stand in the certificate.
        host: the name that the URL, or `tls_server_name`, gives.
        allow_wildcards: the value of AllowCentralSystemTLSWildcards.
    """
    wanted = normalise(host)
    if wanted is None or is_ip_address(host):
        return False
    return any(_matches(name, wanted, allow_wildcards=allow_wildcards) for name in names)


def normalise(name: str) -> str | None:
    """Return a host name in A-labels, lower case, without a trailing dot; None for what is no host name."""
    try:
        ascii_name = name.encode("ascii" if name.isascii() else "idna").decode("ascii")
    except UnicodeError:  # too long a label, or a character that no host name holds
        return None
    return ascii_name.removesuffix(".").lower() or None


def is_ip_address(host: str) -> bool:
    """Return whether a host is an IP address, with or without the brackets of a URL."""
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _matches(name: str, wanted: str, *, allow_wildcards: bool) -> bool:
    if not name.startswith(WILDCARD):
        return normalise(name) == wanted
    parent = normalise(name.removeprefix(WILDCARD))
    if not allow_wildcards or parent is None:
        return False
    return parent.count(".") + 1 >= MIN_LABELS_BELOW_WILDCARD and wanted.partition(".")[2] == parent
