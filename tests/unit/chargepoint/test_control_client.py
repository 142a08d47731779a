"""The blocking client of the control socket: one question, one answer, and each way in which none comes."""

import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint import control_client
from chargepoint.control import ControlServer, Method
from chargepoint.control_client import MAX_ANSWER_BYTES, MethodFailed, NoAgent, NotAnswered, call
from tests.control_peer import Answer, control_peer, error, result


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def test_asks_by_json_rpc_and_returns_the_result(path: Path) -> None:
    with control_peer(path, result({"identity": "CP001"})) as requests:
        assert call(path, "status") == {"identity": "CP001"}
        assert call(path, "hardware.plug_in", {"connector": 1}) == {"identity": "CP001"}
    assert requests == [
        {"jsonrpc": "2.0", "id": 1, "method": "status", "params": {}},
        {"jsonrpc": "2.0", "id": 1, "method": "hardware.plug_in", "params": {"connector": 1}},
    ]


def test_a_result_of_null_is_a_result(path: Path) -> None:
    with control_peer(path, result(None)):
        assert call(path, "connection.down") is None


def test_a_long_answer_comes_whole(path: Path) -> None:
    with control_peer(path, result("x" * 1_000_000)):
        assert call(path, "security.events") == "x" * 1_000_000


def test_an_error_is_raised_with_code_and_data(path: Path) -> None:
    refusal = error(-32000, "there is no connector 9", {"connectors": 2})
    with control_peer(path, refusal), pytest.raises(MethodFailed, match="there is no connector 9") as caught:
        call(path, "hardware.plug_in", {"connector": 9})
    assert (caught.value.code, caught.value.data) == (-32000, {"connectors": 2})


def test_no_socket_is_no_agent(path: Path) -> None:
    with pytest.raises(NoAgent, match=str(path)):
        call(path, "status")


def test_a_socket_that_a_crash_left_behind_is_no_agent(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with pytest.raises(NoAgent):
        call(path, "status")


def test_a_file_in_the_place_of_a_directory_is_no_agent(path: Path) -> None:
    path.touch()
    with pytest.raises(NoAgent):
        call(path / "control.sock", "status")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_socket_of_somebody_else_is_told_apart(path: Path) -> None:
    with control_peer(path, result(None)):
        path.chmod(0)
        with pytest.raises(NotAnswered, match="may not talk"):
            call(path, "status")
        path.chmod(0o600)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: b"", "without an answer"),
        (lambda _: b"hello\n", "not JSON"),
        (lambda _: b'{"id": 1, "resu', "cut off"),
        (lambda _: b"[1]\n", "no answer of a control socket"),
        (lambda _: b'{"id": 2, "result": 1}\n', "no answer of a control socket"),
        (lambda _: b'{"id": 1, "error": "no"}\n', "no answer of a control socket"),
    ],
)
def test_what_is_no_answer_is_named(path: Path, answer: Answer, words: str) -> None:
    with control_peer(path, answer), pytest.raises(NotAnswered, match=words):
        call(path, "status")


def test_an_endless_answer_is_cut_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ANSWER_BYTES > 1_000_000
    monkeypatch.setattr(control_client, "MAX_ANSWER_BYTES", 10_000)
    with control_peer(path, lambda _: b"x" * 50_000), pytest.raises(NotAnswered, match="larger than 10000 bytes"):
        call(path, "status")


def test_an_agent_that_hangs_is_given_up(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(NotAnswered, match=r"no answer within 0\.05 s"):
            call(path, "status", timeout=timedelta(milliseconds=50))


async def test_understands_the_agents_own_server(path: Path) -> None:
    import asyncio

    async def double(number: int) -> int:
        return 2 * number

    server = ControlServer(path, "", {"double": Method(double)})
    await server.start()
    try:
        assert await asyncio.to_thread(call, path, "double", {"number": 21}) == 42
        with pytest.raises(MethodFailed, match="no method"):
            await asyncio.to_thread(call, path, "triple")
    finally:
        await server.stop()
