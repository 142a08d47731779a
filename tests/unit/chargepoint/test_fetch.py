import asyncio
import ssl
from datetime import timedelta

import pytest

from chargepoint.fetch import MAX_HEAD_BYTES, fetch
from chargepoint.simulation.pki import Pki
from security.errors import FetchFailed
from security.inquiry import Question
from tests.peer import PATIENCE_S, Peer, Talk, listen, over_tls, reset, saying

LIMIT = 1000


def question(port: int, *, body: bytes | None = None, scheme: str = "http", path: str = "/ocsp?x=1") -> Question:
    return Question(f"{scheme}://localhost:{port}{path}", "application/x", LIMIT, body, "application/y")


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


async def refusal(talk: Talk, *, scheme: str = "http") -> str:
    with Peer(talk) as peer:
        with pytest.raises(FetchFailed) as caught:
            await fetch(question(peer.port, scheme=scheme))
        return str(caught.value)


async def test_gets_and_asks_for_the_end() -> None:
    with Peer(saying(http(b"answer", "Content-Length: 6"))) as peer:
        assert await fetch(question(peer.port)) == b"answer"
        lines = peer.visits[0].received.decode().split("\r\n")
    assert lines == [
        "GET /ocsp?x=1 HTTP/1.1",
        f"Host: localhost:{peer.port}",
        "Accept: application/x",
        "Connection: close",
        "",
        "",
    ]


async def test_posts() -> None:
    with Peer(saying(http(b"answer"))) as peer:
        assert await fetch(question(peer.port, body=b"\x00question", path="")) == b"answer"
        received = peer.visits[0].received
    assert received.startswith(b"POST / HTTP/1.1\r\n")
    assert received.endswith(b"Content-Type: application/y\r\nContent-Length: 9\r\n\r\n\x00question")


@pytest.mark.parametrize(
    "answer",
    [
        http(b"answer"),
        http(b"answer", "Content-Length: 6"),
        http(b"6\r\nanswer\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        b"HTTP/1.0 200 OK\r\n\r\nanswer",
        http(http(b"answer"), status="100 Continue"),
    ],
    ids=["to the end", "length", "chunks", "1.0", "continue"],
)
async def test_every_form_of_an_answer(answer: bytes) -> None:
    with Peer(saying(answer)) as peer:
        assert await fetch(question(peer.port)) == b"answer"


async def test_https_without_a_word_about_the_servers_certificate() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Pki.create().server_certificate("stranger", self_signed=True).load_into(context)
    with Peer(over_tls(context, saying(http(b"answer")))) as peer:
        assert await fetch(question(peer.port, scheme="https")) == b"answer"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(b"", "Location: http://elsewhere/", status="302 Found"), "HTTP 302"),
        (http(b"", status="404 Not Found"), "HTTP 404"),
        (http(b"", status="500 Internal Server Error"), "HTTP 500"),
        (b"", "no answer in HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer in HTTP"),
        (http(b"answ", "Content-Length: 6"), "no answer in HTTP"),
        (http(b"zz\r\nanswer", "Transfer-Encoding: chunked"), "no answer in HTTP"),
        (http(bytes(LIMIT + 1)), f"the answer is longer than {LIMIT} bytes"),
        (http(bytes(LIMIT + MAX_HEAD_BYTES)), f"the answer is longer than {LIMIT} bytes"),
        (http(b"", "X: " + "x" * 2 * MAX_HEAD_BYTES), f"the answer is longer than {LIMIT} bytes"),
    ],
)
async def test_what_is_no_answer(answer: bytes, reason: str) -> None:
    assert await refusal(saying(answer)) == reason


async def test_the_longest_answer_is_taken() -> None:
    with Peer(saying(http(bytes(LIMIT)))) as peer:
        assert len(await fetch(question(peer.port))) == LIMIT


async def test_a_connection_that_is_cut() -> None:
    assert "the network failed" in await refusal(reset)


async def test_https_to_a_server_that_speaks_none() -> None:
    assert (
        await refusal(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), scheme="https")
        == "TLS failed (WRONG_VERSION_NUMBER)"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/", "the network failed (ConnectionRefusedError)"),
        ("http://" + "x" * 70 + "/", "its name cannot be resolved"),
    ],
)
async def test_nobody_there(url: str, reason: str) -> None:
    with pytest.raises(FetchFailed) as caught:
        await fetch(Question(url, "x", LIMIT))
    assert str(caught.value) == reason


async def test_nothing_stays_open_when_it_is_cancelled() -> None:
    with Peer(listen) as peer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(timedelta(seconds=0.05).total_seconds()):
                await fetch(question(peer.port))
        assert await asyncio.to_thread(lambda: [visit.over.wait(PATIENCE_S) for visit in peer.visits]) == [True]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
async def test_no_proxy_is_used(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    with Peer(saying(http(b"answer"))) as peer:
        assert await fetch(question(peer.port)) == b"answer"
