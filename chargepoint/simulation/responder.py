"""Those who know what a CA has revoked: an OCSP responder (RFC 6960) and its CRL (RFC 5280), on loopback.

One server speaks for any number of authorities; each has addresses of its own, and names them in what it issues from
then on. It runs in a thread and ends with its `with` block. It is right unless a `Fault` makes it wrong in one way.

Not done here: which certificates are revoked (`Authority.revoke`). No code is shared with the agent's own OCSP and CRL
code, so that a common mistake cannot pass.
"""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from chargepoint.simulation.authority import Authority, PrivateKey, Revoked, Whereabouts

VALIDITY: Final = timedelta(days=1)  #: time until the next update; as short as a CA that is asked often chooses
HUGE_BYTES: Final = 4_194_304  #: bytes; above every bound of a Charge Point
DRIP: Final = timedelta(seconds=0.2)  #: time between two bytes of a slow answer; OCSP then takes minutes
MAX_REQUEST_BYTES: Final = 4_096  #: bytes; a request about one certificate has some 100

_LOOPBACK: Final = "127.0.0.1"


class Fault(StrEnum):
    """A way to be wrong."""

    SILENT = "takes the question and never answers"
    SLOW = "answers a byte at a time"
    HUGE = "answers with megabytes"
    GARBAGE = "answers with bytes that are none of this"
    SERVER_ERROR = "answers HTTP 500"
    REDIRECT = "sends the asker to its other self"
    TRY_LATER = "is too busy for a status"
    WRONG_SIGNATURE = "signs with a key that nobody has vouched for"
    STALE = "says what was true last month"
    FUTURE = "says what will be true next month"
    UNKNOWN = "does not know the certificate"
    OTHER_CERTIFICATE = "speaks of another certificate"
    OTHER_QUESTION = "answers with the nonce of another question"


@dataclass(frozen=True, slots=True)
class Signer:
    """A responder that an authority has appointed: answers in its place.

    Attributes:
        certificate: issued by the authority for OCSP signing.
        key: its private key.
    """

    certificate: x509.Certificate
    key: PrivateKey


class Responder:
    """The server.

    Attributes:
        fault: how it is wrong, None while it is right; may be changed at any time.
        signer: answers OCSP in place of the authority; None: the authority itself does.
        hashes: names of the hashes that an OCSP question may be asked with; others are "unauthorized".
        nonces: put the nonce of a question into its answer.
        next_update: time from an answer to its end; None: OCSP answers name no end.
        questions: the paths that were asked for, in order.
    """

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.signer: Signer | None = None
        self.hashes: frozenset[str] = frozenset({"sha1", "sha256"})
        self.nonces = True
        self.next_update: timedelta | None = VALIDITY
        self.questions: list[str] = []
        self.stopping = threading.Event()
        self._authorities: list[Authority] = []

    def __enter__(self) -> Self:
        self._server = _Server((_LOOPBACK, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="responder", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, authority: Authority, *, ocsp: bool = True, crl: bool = True) -> Whereabouts:
        """Speak for an authority, and have all that it issues from now on say so.

        Args:
            authority: whose certificates it knows.
            ocsp: name the OCSP responder in them.
            crl: name the CRL in them.
        """
        self._authorities.append(authority)
        base = f"http://localhost:{self._server.server_port}/{len(self._authorities) - 1}"
        authority.whereabouts = Whereabouts((f"{base}/ocsp",) if ocsp else (), (f"{base}/crl",) if crl else ())
        return authority.whereabouts

    def answer(self, path: str, body: bytes) -> tuple[str, bytes] | None:
        """Return media type and content of an answer, None where there is no such path."""
        _, number, kind = path.split("/") if path.count("/") == 2 else ("", "", "")
        if not number.isdigit() or int(number) >= len(self._authorities):
            return None
        authority = self._authorities[int(number)]
        if kind == "ocsp":
            return "application/ocsp-response", self._ocsp(authority, body)
        return ("application/pkix-crl", self._crl(authority)) if kind == "crl" else None

    def _span(self) -> tuple[datetime, datetime | None]:
        shift = {Fault.STALE: -timedelta(days=30), Fault.FUTURE: timedelta(days=30)}
        this_update = datetime.now(UTC).replace(microsecond=0)
        if self.fault in shift:
            this_update += shift[self.fault]
        return this_update, this_update + self.next_update if self.next_update else None

    def _crl(self, authority: Authority) -> bytes:
        this_update, next_update = self._span()
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=authority.certificate.subject,
            last_update=this_update,
            next_update=next_update or this_update + VALIDITY,
            revoked_certificates=[_entry(serial, revoked) for serial, revoked in authority.revoked.items()],
        )
        key = self._signer(authority).key if self.fault is Fault.WRONG_SIGNATURE else authority.key
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _ocsp(self, authority: Authority, body: bytes) -> bytes:
        failed = ocsp.OCSPResponseBuilder.build_unsuccessful
        try:
            request = ocsp.load_der_ocsp_request(body)
        except ValueError:
            return failed(ocsp.OCSPResponseStatus.MALFORMED_REQUEST).public_bytes(Encoding.DER)
        if self.fault is Fault.TRY_LATER:
            return failed(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER)
        if request.hash_algorithm.name not in self.hashes:
            return failed(ocsp.OCSPResponseStatus.UNAUTHORIZED).public_bytes(Encoding.DER)
        revoked = authority.revoked.get(request.serial_number)
        this_update, next_update = self._span()
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            request.issuer_name_hash,
            request.issuer_key_hash,
            request.serial_number + (1 if self.fault is Fault.OTHER_CERTIFICATE else 0),
            request.hash_algorithm,
            self._status(revoked),
            this_update,
            next_update,
            revoked.at if revoked else None,
            revoked.reason if revoked else None,
        )
        if self.nonces and (nonce := self._nonce(request)):
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        if self.signer:
            builder = builder.certificates([self.signer.certificate])
        signer = self._signer(authority)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _signer(self, authority: Authority) -> Signer:
        if self.fault is Fault.WRONG_SIGNATURE:
            stranger = Authority.root("Stranger", "Nobody")
            return Signer(stranger.certificate, stranger.key)
        return self.signer or Signer(authority.certificate, authority.key)

    def _status(self, revoked: Revoked | None) -> ocsp.OCSPCertStatus:
        if revoked:
            return ocsp.OCSPCertStatus.REVOKED
        return ocsp.OCSPCertStatus.UNKNOWN if self.fault is Fault.UNKNOWN else ocsp.OCSPCertStatus.GOOD

    def _nonce(self, request: ocsp.OCSPRequest) -> bytes | None:
        if self.fault is Fault.OTHER_QUESTION:
            return b"the nonce of another question..."
        try:
            return request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        except x509.ExtensionNotFound:
            return None


def _entry(serial_number: int, revoked: Revoked) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder(serial_number, revoked.at)
    if revoked.reason is not None:
        builder = builder.add_extension(x509.CRLReason(revoked.reason), critical=False)
    return builder.build()


class _Server(ThreadingHTTPServer):
    """Loopback only; a silent answer keeps nobody from stopping it."""

    daemon_threads = True

    def server_bind(self) -> None:
        # Not HTTPServer's: that asks DNS for the name of the host.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]


def _handler(responder: Responder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self._answer(self.rfile.read(min(length, MAX_REQUEST_BYTES)))

        def log_message(self, *_: Any) -> None:
            """Say nothing: the questions are recorded."""

        def _answer(self, body: bytes) -> None:
            responder.questions.append(self.path)
            answer = responder.answer(self.path, body)
            with suppress(ConnectionError):  # the asker may have had enough
                match responder.fault:
                    case _ if answer is None:
                        self.send_error(404)
                    case Fault.SILENT:
                        responder.stopping.wait()
                    case Fault.SERVER_ERROR:
                        self.send_error(500)
                    case Fault.REDIRECT:
                        self._send(302, {"Location": self.path}, b"")
                    case Fault.HUGE:
                        self._send(200, {}, bytes(HUGE_BYTES))
                    case Fault.GARBAGE:
                        self._send(200, {}, b"<html>Welcome to the captive portal</html>")
                    case Fault.SLOW:
                        self._drip(answer[1])
                    case _:
                        self._send(200, {"Content-Type": answer[0]}, answer[1])

        def _send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def _drip(self, content: bytes) -> None:
            self.send_response(200)
            self.end_headers()
            for byte in content:
                if responder.stopping.wait(DRIP.total_seconds()):
                    return
                self.wfile.write(bytes([byte]))

    return Handler
