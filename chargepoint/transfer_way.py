"""How a server is reached: the ways that FTPS may mean, and where a redirect of HTTP may lead.

``ftpes://`` is AUTH TLS on port 21. ``ftps://`` is TLS from the first byte on port 990 by the letter, and AUTH TLS in
the URLs of many Central Systems; port 21 tells, else the second is tried where nobody speaks TLS from the first byte.
On all of them TLS is demanded and verified before a user name is sent (docs/decisions/0101-what-ftps-means.md).
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import urljoin

from chargepoint.transfer_easy import CurlFailed, Easy, Way
from chargepoint.transfer_fault import TransferFailed, TransferFault
from chargepoint.transfer_location import Location
from chargepoint.transfer_verdict import CurlCode

FTP_PORT: Final = 21  #: code; nobody speaks TLS from the first byte there
HTTP_PORTS: Final = {"http": 80, "https": 443}

_NO_TLS_THERE: Final = frozenset({CurlCode.COULDNT_CONNECT, CurlCode.SSL_CONNECT_ERROR})
_NOTHING_THERE: Final = frozenset({TransferFault.UNREACHABLE, TransferFault.STALLED, TransferFault.INTERRUPTED})

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def ways_of(location: Location, *, ftp_demands_tls: bool) -> tuple[Way, ...]:
    """Return the ways to reach a location, the likeliest first; all of them are equally safe."""
    port = location.port
    match location.scheme:
        case "ftp":
            return (Way("ftp", port, explicit_tls=ftp_demands_tls),)
        case "ftpes":
            return (Way("ftp", port, explicit_tls=True),)
        case "ftps" if port == FTP_PORT:
            return (Way("ftp", port, explicit_tls=True),)
        case "ftps":
            return (Way("ftps", port), Way("ftp", port, explicit_tls=True))
        case scheme:
            return (Way(scheme, port),)


def try_ways(location: Location, ways: tuple[Way, ...], attempt: Callable[[Way], _T]) -> _T:
    """Attempt one way after the other, as long as nobody speaks TLS there.

    Raises:
        TransferFailed: of the first way where the second found nobody either.
    """
    try:
        return attempt(ways[0])
    except CurlFailed as first:
        # A refused connection says nothing of another port only where the URL leaves the port open.
        is_over = first.code == CurlCode.COULDNT_CONNECT and location.port is not None
        if len(ways) == 1 or first.code not in _NO_TLS_THERE or is_over:
            raise
        _log.info("%s: no TLS from the first byte there, AUTH TLS is tried", location)
        try:
            return attempt(ways[1])
        except CurlFailed as second:
            raise (first if second.fault in _NOTHING_THERE else second) from None


def redirected(location: Location, easy: Easy) -> Location:
    """Return where an answer of HTTP redirects to; user and password go to nobody else.

    Raises:
        TransferFailed: BAD_ANSWER: it leads nowhere, or to where TLS protects less; BAD_URL of its own is one too.
    """
    named = easy.headers.get("location", "")
    try:
        target = Location.parse(urljoin(location.url(), named))
    except (TransferFailed, ValueError) as error:
        why = error.detail if isinstance(error, TransferFailed) else "it is no URL"
        raise _misled(location, f"to a location that cannot be used: {why}") from error
    if target.scheme not in {"http", "https"} or (location.is_secured and not target.is_secured):
        raise _misled(location, f"from {location.scheme} to {target.scheme}")
    if target.user is None and target.password is None and _may_know(location, target):
        target = replace(target, user=location.user, password=location.password)
    _log.info("%s redirects to %s", location, target)
    return target


def _may_know(location: Location, target: Location) -> bool:
    """Whether a redirect leads to the very server that user and password are for, or to its secured door."""
    before = (location.scheme, location.port or HTTP_PORTS[location.scheme])
    after = (target.scheme, target.port or HTTP_PORTS[target.scheme])
    to_secured = (before, after) == tuple(HTTP_PORTS.items())
    return location.host.lower() == target.host.lower() and (before == after or to_secured)


def too_many(location: Location, most: int) -> TransferFailed:
    """Return the fault of a redirect too many."""
    return _misled(location, f"after {most} redirects once more ([transfers] max_redirects)")


def _misled(location: Location, where: str) -> TransferFailed:
    return TransferFailed(TransferFault.BAD_ANSWER, f"{location}: the server redirects {where}")
