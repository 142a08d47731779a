"""One small HTTP request: the adapter behind the port `Fetch` of security/revocation.py.

Guaranteed: at most `max_bytes` of an answer are taken; nothing is left open when it returns, fails or is cancelled; no
redirect is followed, no proxy is used, nothing secret is sent.

The certificate of an https server is not verified: the answer is signed, and the CA that would vouch for the server is
as a rule the very one that is asked about (RFC 5280, section 8; docs/decisions/0093-how-answers-are-fetched.md).

Not done here: time-outs, which are the caller's; transfers of files.
"""

import asyncio
import http.client
import io
import socket
import ssl
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

from security.errors import FetchFailed
from security.inquiry import Question

MAX_HEAD_BYTES: Final = 16_384  #: bytes of status, headers and chunk sizes beside the body; servers send less than 1 KB
READ_BYTES: Final = 65_536  #: bytes taken in at a time; what asyncio buffers at most

_OK: Final = 200
_PORTS: Final = {"http": 80, "https": 443}


async def fetch(question: Question) -> bytes:
    """Send one request over a connection of its own and return the body of the answer.

    Args:
        question: its URL is http or https.

    Raises:
        FetchFailed: why there is no answer of use.
    """
    try:
        answer = await _exchange(urlsplit(question.url), question)
        return body_of(answer, question.max_bytes)
    except FetchFailed:
        raise
    except ssl.SSLError as error:
        raise FetchFailed(f"TLS failed ({error.reason})") from error
    except (socket.gaierror, UnicodeError) as error:
        raise FetchFailed("its name cannot be resolved") from error
    except (http.client.HTTPException, ValueError) as error:  # before OSError: some of the former are both
        raise FetchFailed("no answer in HTTP") from error
    except OSError as error:
        raise FetchFailed(f"the network failed ({type(error).__name__})") from error


async def _exchange(address: SplitResult, question: Question) -> bytes:
    secured = address.scheme.lower() == "https"
    reader, writer = await asyncio.open_connection(
        address.hostname,
        address.port or _PORTS[address.scheme.lower()],
        ssl=_any_server() if secured else None,
    )
    try:
        writer.write(_request(address, question))
        await writer.drain()
        answer = bytearray()
        while data := await reader.read(READ_BYTES):  # to the end: the request asks for the connection to be closed
            answer += data
            if len(answer) > question.max_bytes + MAX_HEAD_BYTES:
                raise FetchFailed(f"the answer is longer than {question.max_bytes} bytes")
        return bytes(answer)
    finally:
        writer.transport.abort()


def _request(address: SplitResult, question: Question) -> bytes:
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    lines = [
        f"{'GET' if question.body is None else 'POST'} {target} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Accept: {question.accept}",
        "Connection: close",
    ]
    if question.body is not None:
        lines += [f"Content-Type: {question.content_type}", f"Content-Length: {len(question.body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (question.body or b"")


def body_of(answer: bytes, max_bytes: int) -> bytes:
    """Return the body of an HTTP answer that is here as a whole.

    Raises:
        FetchFailed: the status is not 200, or the body is too long.
        http.client.HTTPException, ValueError: it is not HTTP.
    """
    # The parser of the standard library reads it as if from a socket.
    response = http.client.HTTPResponse(cast("socket.socket", _Received(answer)))
    response.begin()
    if response.status != _OK:
        raise FetchFailed(f"HTTP {response.status}")
    body = response.read()
    if len(body) > max_bytes:
        raise FetchFailed(f"the answer is longer than {max_bytes} bytes")
    return body


class _Received:
    """All that `HTTPResponse` asks of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _any_server() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # What comes is believed for its own signature only, and nothing secret goes out: see the head of this module.
    context.verify_mode = ssl.CERT_NONE
    return context
