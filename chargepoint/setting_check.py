"""The checks of single values of config.toml that need more than a type and bounds.

Each takes the text and returns the reason why it is refused, None when it is good. No reason repeats the text or a part
of it, which may be a password in the wrong place. Pure: no files, no network.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from security.event import CATALOGUE
from security.server_name import is_ip_address

MAX_HOST_CHARACTERS: Final = 253  #: characters; RFC 1035, the longest name that DNS can carry
MAX_URL_CHARACTERS: Final = 512  #: characters; OCPP 2.0.1 gives ocppCsmsUrl 512, 1.6 is silent

_NO_URL: Final = "is not a URL: the port is no number up to 65535, or a bracket is missing"
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_URL_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|www\.", re.IGNORECASE)


def check_identity(identity: str) -> str | None:
    """Judge the Charge Point identity: it is the user name of HTTP Basic authentication (A00.FR.204, A00.FR.303)."""
    if ":" in identity:
        return "must not hold a colon, which ends the user name in HTTP Basic authentication (A00.FR.204)"
    return None


def check_serial_number(serial_number: str) -> str | None:
    """Judge the serial number, which becomes the CN of the Charge Point certificate (A00.FR.511).

    `security.certificate` has the rule for CNs that come in; here it is wider, and `cryptography` need not be loaded.
    """
    if _URL_LIKE.match(serial_number):
        return "must not look like a URL, since it becomes the CN of the certificate (A00.FR.511)"
    without_port, _, _ = serial_number.rpartition(":")
    if is_ip_address(serial_number) or is_ip_address(without_port):
        return "must not look like an IP address, since it becomes the CN of the certificate (A00.FR.511)"
    return None


def check_url(url: str) -> str | None:
    """Judge the address of a Central System."""
    if len(url) > MAX_URL_CHARACTERS:
        return f"must have at most {MAX_URL_CHARACTERS} characters, these are {len(url)}"
    # urlsplit drops some white space silently, so it is looked for first.
    if " " in url or not url.isprintable():
        return "must not hold spaces or unprintable characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return _NO_URL
    if parts.scheme not in {"ws", "wss"}:
        return "must begin with ws:// or wss://"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password; the identity and AuthorizationKey are sent (A00.FR.203)"
    if "?" in url or "#" in url:
        return "must not hold a query or fragment, since the identity is appended to it"
    if port == 0:
        return "must not name port 0"
    return _path_fault(parts) or check_host(parts.hostname or "")


def check_server_name(name: str) -> str | None:
    """Judge the name that the certificate of the Central System must bear."""
    if is_ip_address(name):
        return "must be a name, since certificates of Central Systems bear names (A00.FR.510)"
    return check_host(name)


def check_host(host: str) -> str | None:
    """Judge the host part of a URL: a DNS name, internationalised or not, or an IP address without brackets."""
    if not host:
        return "names no host"
    if is_ip_address(host):
        return None
    try:
        # The codec is slow to load and most names are ASCII.
        ascii_host = (host if host.isascii() else host.encode("idna").decode("ascii")).removesuffix(".")
    except UnicodeError:
        return "the host is not a valid name"
    if len(ascii_host) > MAX_HOST_CHARACTERS:
        return f"the host must have at most {MAX_HOST_CHARACTERS} characters"
    labels = ascii_host.split(".")
    if labels[-1].isdigit() or not all(map(_HOST_LABEL.fullmatch, labels)):
        return "the host is not a valid name"
    return None


def check_proxy(proxy: str) -> str | None:
    """Judge the proxy: none, that of the environment, or a URL that `websockets` understands."""
    if proxy in {"", "environment"}:
        return None
    if " " in proxy or not proxy.isprintable():
        return "must not hold spaces or unprintable characters"
    try:
        parts = urlsplit(proxy)
        _ = parts.port
    except ValueError:
        return _NO_URL
    if parts.scheme not in {"http", "https"}:
        return 'must be "", "environment", or a URL that begins with http:// or https://'
    return check_host(parts.hostname or "")


def _path_fault(parts: SplitResult) -> str | None:
    if not parts.path.isascii():
        return "must be ASCII in its path; write other characters percent-encoded"
    return None


def check_event_type(event_type: str) -> str | None:
    """Judge the type of a security event: a name of section 8 in its own spelling, any other is a vendor's."""
    spelling = {known.lower(): known for known in CATALOGUE}.get(event_type.lower(), event_type)
    return None if event_type == spelling else f"is spelt {spelling} in section 8 of the white paper"


def check_key_uri(uri: str) -> str | None:
    """Judge the URI of a PKCS#11 token (RFC 7512); the PIN stands in OpenSSL's configuration, and in no other file."""
    if not uri:
        return None
    if not uri.startswith("pkcs11:") or not uri.isascii() or " " in uri:
        return "must be a URI that begins with pkcs11: and is ASCII without spaces"
    return "must not hold the PIN, which OpenSSL's configuration tells the provider" if "pin-value" in uri else None


def check_bus_address(address: str) -> str | None:
    """Judge the address of a D-Bus: that of the system, or a Unix socket."""
    if not address or address.startswith(("unix:path=/", "unix:abstract=")):
        return None
    return "must be empty for the system's bus, or begin with unix:path=/ or unix:abstract="
