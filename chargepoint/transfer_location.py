"""A location: the URL that a Central System names for a file, judged once and valid from then on.

Guaranteed: only schemes of files get through; nothing that a server could take for a second command (RFC 3986 does not
forbid %0D%0A) is in path, user or password; user and password are percent-decoded, apart from the rest, and in no text
that this module makes. A query may hold the signature of a pre-signed URL and is kept out of those texts as well.

Not done here: whether a scheme is switched on, and whether libcurl knows it (transfer.py). Pure.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

from chargepoint.setting_check import check_host
from chargepoint.transfer_fault import Family, TransferFailed, TransferFault
from security.secret import Secret

MAX_LOCATION_CHARACTERS: Final = 2048  #: characters; OCPP 1.6 bounds none in GetDiagnostics.req, 512 elsewhere
MASK: Final = "***"

# Firmware is to be sent encrypted (L01.FR.08): https, both kinds of FTPS and sftp are here for that.
PROTOCOLS: Final = {"http": "HTTP", "https": "HTTPS", "ftp": "FTP", "ftps": "FTPS", "ftpes": "FTPS", "sftp": "SFTP"}
"""Scheme -> what SupportedFileTransferProtocols calls it; ftpes is how some write FTPS by AUTH TLS."""

_FAMILIES: Final = {"http": Family.HTTP, "https": Family.HTTP, "sftp": Family.SFTP}
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_SAFE: Final = "/%:@!$&'()*+,;=~-._"
_QUERY_SAFE: Final = _PATH_SAFE + "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a file is fetched from or sent to.

    Attributes:
        scheme: in lower case, one of PROTOCOLS.
        host: a name in ASCII, or an IP address without brackets.
        port: None for the protocol's own.
        path: percent-encoded, "" or beginning with "/".
        query: percent-encoded, None where there is none.
        user, password: percent-decoded; None where the URL has none.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None = field(default=None, repr=False)
    user: Secret | None = None
    password: Secret | None = None

    @classmethod
    def parse(cls, text: str) -> "Location":
        """Judge a URL.

        Raises:
            TransferFailed: BAD_URL or UNSUPPORTED_SCHEME; the text repeats nothing of a malformed URL.
        """
        parts = _split(text)
        try:
            port = parts.port
        except ValueError:
            raise _bad("its port is no number up to 65535") from None
        host = _host(parts)
        user, password = _credential(parts.username, "user"), _credential(parts.password, "password")
        path, query = quote(parts.path, safe=_PATH_SAFE), quote(parts.query, safe=_QUERY_SAFE) or None
        if _ESCAPE.search(path) or _ESCAPE.search(query or ""):
            raise _bad("a % in it is not followed by two hex digits")
        if _FAMILIES.get(parts.scheme) is not Family.HTTP:
            if query is not None:  # a "?" is part of a file's name there
                path, query = f"{path}%3F{query}", None
            if any(byte < 0x20 or byte == 0x7F for byte in unquote_to_bytes(path)):
                raise _bad("there are control characters in its path")
        if port == 0:
            raise _bad("it names port 0")
        return cls(scheme=parts.scheme, host=host, port=port, path=path, query=query, user=user, password=password)

    @property
    def protocol(self) -> str:
        """What SupportedFileTransferProtocols calls its protocol."""
        return PROTOCOLS[self.scheme]

    @property
    def family(self) -> Family:
        """The protocols that it fails like."""
        return _FAMILIES.get(self.scheme, Family.FTP)

    @property
    def is_secured(self) -> bool:
        """Whether nobody on the way can read along."""
        return self.scheme not in {"http", "ftp"}

    @property
    def names_directory(self) -> bool:
        """Whether the file's name is left to the Charge Point."""
        return self.path.endswith("/") or not self.path

    @property
    def origin(self) -> tuple[str, str, int | None]:
        """Whom credentials are for."""
        return (self.scheme, self.host, self.port)

    def with_file(self, file_name: str) -> "Location":
        """Return the location of a file in this directory."""
        return replace(self, path=f"{self.path.removesuffix('/')}/{quote(file_name, safe='')}")

    def url(self, scheme: str | None = None, port: int | None = None) -> str:
        """Return the URL without user and password; its query is there.

        Args:
            scheme: another scheme, as libcurl calls it.
            port: another port.
        """
        query = "" if self.query is None else f"?{self.query}"
        return f"{scheme or self.scheme}://{self._authority(port)}{self.path or '/'}{query}"

    def scrub(self, text: str) -> str:
        """Take out of a text whatever is secret in this location, however it is encoded."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def __str__(self) -> str:
        """The form for logs: without user, password and query."""
        userinfo = "" if self.user is None and self.password is None else f"{MASK}@"
        path, begun, _ = self.path.partition("%3F")  # where others than HTTP have what looks like a query
        query = f"?{MASK}" if begun or self.query is not None else ""
        _, at_sign, behind = path.replace("%40", "@").rpartition("@")
        if at_sign:  # a password that holds a slash and was not percent-encoded looks like host and path
            return f"{self.scheme}://{MASK}@{behind}{query}"
        return f"{self.scheme}://{userinfo}{self._authority(None)}{path}{query}"

    def _authority(self, port: int | None) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = port or self.port
        return host if port is None else f"{host}:{port}"

    def _secrets(self) -> set[str]:
        found = {self.query or "", self.path.partition("%3F")[2]}
        for secret in (self.user, self.password):
            if secret is not None:
                raw = secret.reveal()
                found |= {raw.decode("utf-8", "replace"), quote(raw, safe=""), quote(raw)}
        return found - {""}


def _split(text: str) -> SplitResult:
    if len(text) > MAX_LOCATION_CHARACTERS:
        raise _bad(f"it has more than {MAX_LOCATION_CHARACTERS} characters")
    # urlsplit drops some white space silently, so it is looked for first.
    if not text or " " in text or not text.isprintable():
        raise _bad("it is empty, or holds spaces or unprintable characters")
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise _bad("it begins with no scheme, such as https://")
    if scheme[1].lower() not in PROTOCOLS:
        raise TransferFailed(TransferFault.UNSUPPORTED_SCHEME, f"{scheme[1].lower()[:20]}: is none of {_known()}")
    if not text[scheme.end() :].startswith("//"):
        raise _bad("its scheme is not followed by ://")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _bad("a bracket in it is missing, or its host is no name") from None
    if "#" in text:
        raise _bad("it holds a #; as a part of a password or name it is written %23")
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if reason := check_host(host):
        raise _bad(reason)
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _credential(text: str | None, what: str) -> Secret | None:
    if text is None:
        return None
    if _ESCAPE.search(text):
        raise _bad(f"a % in its {what} is not followed by two hex digits; % itself is written %25")
    raw = unquote_to_bytes(text)
    if any(byte < 0x20 or byte == 0x7F for byte in raw):
        raise _bad(f"there are control characters in its {what}")
    return Secret(raw)


def _bad(why: str) -> TransferFailed:
    return TransferFailed(TransferFault.BAD_URL, why)


def _known() -> str:
    return ", ".join(sorted(PROTOCOLS))
