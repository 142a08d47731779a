"""A TLS server by GnuTLS, which shares no line of code with the OpenSSL below Python's `ssl`.

The library is called as it lies on the machine, where it does: Debian's apt has long needed it. The names are those of
its manual.
"""

import ctypes
import ctypes.util
import socket
from functools import cache
from typing import Final

from chargepoint.simulation.authority import Issued
from tests.peer import Talk, Visit

LIBRARY: Final = ctypes.util.find_library("gnutls")

_SERVER: Final = 1 << 0
_NO_SIGNAL: Final = 1 << 6
_CREDENTIALS_CERTIFICATE: Final = 1
_CERTIFICATE_REQUIRE: Final = 2
_PEM: Final = 1
_BYTES: Final = 16_384


class GnuTlsError(OSError):
    """Raised when a function of GnuTLS returns an error."""


class _Datum(ctypes.Structure):
    _fields_ = (("data", ctypes.c_char_p), ("size", ctypes.c_uint))


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(LIBRARY)
    library.gnutls_strerror.restype = ctypes.c_char_p
    library.gnutls_protocol_get_name.restype = ctypes.c_char_p
    for name in ("gnutls_record_send", "gnutls_record_recv"):
        getattr(library, name).restype = ctypes.c_ssize_t
        getattr(library, name).argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
    return library


def _checked(result: int) -> int:
    if result < 0:
        raise GnuTlsError(_library().gnutls_strerror(result).decode())
    return result


def _datum(data: bytes) -> _Datum:
    return _Datum(data, len(data))


class GnuTlsSocket:
    """One connection, the server's end; what `tests.peer` needs of a socket.

    Attributes:
        version: the TLS version agreed on.
    """

    def __init__(self, connection: socket.socket, shown: Issued, client_roots: bytes | None, priority: str) -> None:
        library = _library()
        self._credentials, self._session = ctypes.c_void_p(), ctypes.c_void_p()
        _checked(library.gnutls_certificate_allocate_credentials(ctypes.byref(self._credentials)))
        chain, key = _datum(shown.chain_pem), _datum(shown.key_pem)
        _checked(
            library.gnutls_certificate_set_x509_key_mem(self._credentials, ctypes.byref(chain), ctypes.byref(key), _PEM)
        )
        _checked(library.gnutls_init(ctypes.byref(self._session), _SERVER | _NO_SIGNAL))
        _checked(library.gnutls_priority_set_direct(self._session, priority.encode(), None))
        _checked(library.gnutls_credentials_set(self._session, _CREDENTIALS_CERTIFICATE, self._credentials))
        if client_roots is not None:
            roots = _datum(client_roots)
            _checked(library.gnutls_certificate_set_x509_trust_mem(self._credentials, ctypes.byref(roots), _PEM))
            library.gnutls_certificate_server_set_request(self._session, _CERTIFICATE_REQUIRE)
            library.gnutls_session_set_verify_cert(self._session, None, 0)
        connection.setblocking(True)
        library.gnutls_transport_set_int2(self._session, connection.fileno(), connection.fileno())

    def handshake(self) -> str:
        """Shake hands, and return the name of the TLS version."""
        library = _library()
        _checked(library.gnutls_handshake(self._session))
        name: bytes = library.gnutls_protocol_get_name(library.gnutls_protocol_get_version(self._session))
        return name.decode()

    def recv(self, _: int) -> bytes:
        buffer = ctypes.create_string_buffer(_BYTES)
        count = _checked(_library().gnutls_record_recv(self._session, buffer, _BYTES))
        return buffer.raw[:count]

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[_checked(_library().gnutls_record_send(self._session, data, len(data))) :]

    def close(self) -> None:
        library = _library()
        library.gnutls_deinit(self._session)
        library.gnutls_certificate_free_credentials(self._credentials)


def over_gnutls(
    shown: Issued, then: Talk, *, priority: str, client_roots: bytes | None = None, versions: list[str] | None = None
) -> Talk:
    """Shake hands by GnuTLS first.

    Args:
        shown: the server's certificate.
        then: what is done within TLS.
        priority: which versions and suites are taken, a priority string of GnuTLS.
        client_roots: roots of the certificate that is demanded of the client, PEM.
        versions: grows by the TLS version of each handshake.
    """

    def talk(visit: Visit, connection: socket.socket) -> None:
        secured = GnuTlsSocket(connection, shown, client_roots, priority)
        try:
            version = secured.handshake()
            if versions is not None:
                versions.append(version)
            then(visit, secured)  # type: ignore[arg-type]
        finally:
            secured.close()

    return talk
