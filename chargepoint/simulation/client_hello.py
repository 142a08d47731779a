"""What a Charge Point offers in its ClientHello, read from the first bytes that it sends.

`ssl` tells a server what was agreed, not what was offered; the conformance tests (OCTT TC_086) ask for the offer:
TLS 1.2 or newer, and both suites of one pair (A00.FR.312, A00.FR.318).

Not done here: any judgement of the TLS itself, that is OpenSSL's. Bytes that are no ClientHello give None, no error.
"""

import struct
from dataclasses import dataclass
from typing import Final

_TLS_1_2: Final = 0x0303
PAIR_A: Final = frozenset({0xC02B, 0xC02C})  # ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384
PAIR_B: Final = frozenset({0x009C, 0x009D})  # AES128-GCM-SHA256, AES256-GCM-SHA384

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_SUPPORTED_VERSIONS: Final = 43


@dataclass(frozen=True, slots=True)
class ClientHello:
    """An offer.

    Attributes:
        versions: protocol versions by their code, e.g. 0x0304 for TLS 1.3.
        suites: cipher suites by their IANA code, in the order of the offer.
        server_name: the host name asked for (SNI), None without one.
    """

    versions: tuple[int, ...]
    suites: tuple[int, ...]
    server_name: str | None

    def faults(self) -> list[str]:
        """Say where the offer breaks A00.FR.312 or A00.FR.318; empty for a good one."""
        faults = []
        if old := [f"{version:#06x}" for version in self.versions if version < _TLS_1_2]:
            faults.append(f"offers TLS older than 1.2: {', '.join(old)}")
        offered = set(self.suites)
        if not (offered >= PAIR_A or offered >= PAIR_B):
            faults.append("offers neither both ECDHE-ECDSA nor both static RSA suites of AES-GCM")
        return faults


class _Bytes:
    """A cursor; reading past the end raises ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __bool__(self) -> bool:
        return bool(self._data)

    def take(self, count: int) -> bytes:
        if count > len(self._data):
            raise ValueError("truncated")
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> "_Bytes":
        return _Bytes(self.take(self.number(size)))

    def numbers(self) -> tuple[int, ...]:
        return struct.unpack(f">{len(self._data) // 2}H", self.take(len(self._data) // 2 * 2))


def parse(data: bytes) -> ClientHello | None:
    """Read the ClientHello at the start of a TLS stream; None where there is none, or not the whole of it."""
    try:
        return _parse(_Bytes(data))
    except ValueError:
        return None


def _parse(stream: _Bytes) -> ClientHello | None:
    if stream.number(1) != _HANDSHAKE:
        return None
    stream.take(2)  # version of the record layer, fixed by history
    record = stream.vector(2)
    if record.number(1) != _CLIENT_HELLO:
        return None
    hello = record.vector(3)
    legacy_version = hello.number(2)
    hello.take(32)  # random
    hello.vector(1)  # session id
    suites = hello.vector(2).numbers()
    hello.vector(1)  # compression methods
    versions: tuple[int, ...] = (legacy_version,)
    server_name = None
    extensions = hello.vector(2) if hello else _Bytes(b"")
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SUPPORTED_VERSIONS:
            versions = content.vector(1).numbers()
        elif kind == _SERVER_NAME:
            names = content.vector(2)
            names.take(1)  # name type: host_name is the only one
            server_name = names.take(names.number(2)).decode("ascii", "replace")
    return ClientHello(tuple(v for v in versions if not _is_grease(v)), suites, server_name)


def _is_grease(code: int) -> bool:
    return code & 0x0F0F == 0x0A0A  # RFC 8701
