"""The control socket, over a real Unix socket."""

import asyncio
import grp
import json
import os
import select
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint import control
from chargepoint.control import ControlError, ControlServer, Method


async def _greet(name: str, *, times: int = 1) -> str:
    return f"hello {name} " * times


async def _refuse() -> None:
    raise ControlError("the door is shut: open it first", data={"door": "shut"})


async def _break() -> None:
    raise ZeroDivisionError("a bug")


METHODS: Mapping[str, Method] = {
    "greet": Method(_greet, for_group=True),
    "refuse": Method(_refuse),
    "break": Method(_break),
}


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    server = ControlServer(tmp_path / "control.sock", "", METHODS)
    await server.start()
    yield tmp_path / "control.sock"
    await server.stop()


async def _ask(path: Path, *lines: bytes) -> list[Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.writelines(lines)
    writer.write_eof()
    answers = [json.loads(line) async for line in reader]
    writer.close()
    await writer.wait_closed()
    return answers


def _request(method: str, params: object = None, request_id: object = 1) -> bytes:
    request: dict[str, object] = {"jsonrpc": "2.0", "id": request_id, "method": method}
    if params is not None:
        request["params"] = params
    return json.dumps(request).encode() + b"\n"


async def test_calls_a_method_with_named_parameters(path: Path) -> None:
    answers = await _ask(path, _request("greet", {"name": "you"}), _request("greet", {"name": "all", "times": 2}, "b"))
    assert answers == [
        {"jsonrpc": "2.0", "id": 1, "result": "hello you "},
        {"jsonrpc": "2.0", "id": "b", "result": "hello all hello all "},
    ]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (b"nonsense\n", control.PARSE_ERROR, "not JSON"),
        (b"\xff\xfe\n", control.PARSE_ERROR, "not JSON"),
        (b"[" * 50_000 + b"\n", control.PARSE_ERROR, "not JSON"),
        (b"[1]\n", control.INVALID_REQUEST, "an object"),
        (b"{}\n", control.INVALID_REQUEST, "an object"),
        (_request("greet", {"name": "you"}, [1]), control.INVALID_REQUEST, "the id"),
        (_request("greet", {"name": "you"}, {"a": 1}), control.INVALID_REQUEST, "the id"),
        (_request("nothing"), control.METHOD_NOT_FOUND, "'nothing'"),
        (_request("greet"), control.INVALID_PARAMS, "name"),
        (_request("greet", {"name": "you", "colour": "red"}), control.INVALID_PARAMS, "colour"),
        (_request("greet", ["you"]), control.INVALID_PARAMS, "object"),
        (_request("refuse"), control.REFUSED, "the door is shut: open it first"),
        (_request("break"), control.INTERNAL_ERROR, "the agent's log"),
    ],
)
async def test_answers_an_error_that_says_why(path: Path, line: bytes, code: int, words: str) -> None:
    (answer,) = await _ask(path, line)
    assert answer["error"]["code"] == code
    assert words in answer["error"]["message"]


async def test_an_error_carries_its_data(path: Path) -> None:
    (answer,) = await _ask(path, _request("refuse"))
    assert answer["error"]["data"] == {"door": "shut"}


async def test_goes_on_after_an_error(path: Path) -> None:
    answers = await _ask(path, _request("break"), b"nonsense\n", _request("greet", {"name": "you"}))
    assert answers[2]["result"] == "hello you "


async def test_does_not_answer_a_notification(path: Path) -> None:
    silent = json.dumps({"jsonrpc": "2.0", "method": "greet", "params": {"name": "you"}}).encode() + b"\n"
    answers = await _ask(path, silent, _request("greet", {"name": "me"}, 7))
    assert [answer["id"] for answer in answers] == [7]


async def test_refuses_a_line_that_does_not_end(path: Path) -> None:
    (answer,) = await _ask(path, b"x" * (control.MAX_LINE_BYTES + 1))
    assert answer["error"]["code"] == control.INVALID_REQUEST


async def test_bounds_the_number_of_connections(path: Path) -> None:
    crowd = [await asyncio.open_unix_connection(path) for _ in range(control.MAX_CLIENTS)]
    for reader, writer in crowd:
        writer.write(_request("greet", {"name": "you"}))
        await reader.readline()
    reader, late = await asyncio.open_unix_connection(path)
    assert await reader.read() == b""
    for _, writer in [*crowd, (reader, late)]:
        writer.close()
        await writer.wait_closed()


async def test_a_group_that_takes_all_its_places_leaves_the_owner_his(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(control, "_is_owner", lambda writer: False)
        crowd = [await asyncio.open_unix_connection(path) for _ in range(control.MAX_GROUP_CLIENTS)]
        for reader, writer in crowd:
            writer.write(_request("greet", {"name": "you"}))
            await reader.readline()
        crowd.append(await asyncio.open_unix_connection(path))
        assert await crowd[-1][0].read() == b""
    assert (await _ask(path, _request("greet", {"name": "owner"})))[0]["result"] == "hello owner "
    for _, writer in crowd:
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_does_not_read_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "WRITE_TIMEOUT", timedelta(milliseconds=10))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(_request("greet", {"name": "you", "times": 1_000_000}))
        client.settimeout(5)
        hung_up = select.poll()
        hung_up.register(client, select.POLLHUP)
        assert await asyncio.to_thread(hung_up.poll, 5000)


async def test_only_the_owner_may_open_the_file(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_group_may_connect_too(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    server = ControlServer(tmp_path / "control.sock", group, METHODS)
    await server.start()
    assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o660
    await server.stop()


async def test_a_member_of_the_group_reaches_only_its_methods(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A test may not run as root with a second user at hand, so the peer's uid is what is stood in for.
    monkeypatch.setattr(control, "_is_owner", lambda writer: False)
    answers = await _ask(path, _request("greet", {"name": "you"}), _request("refuse"))
    assert answers[0]["result"] == "hello you "
    assert answers[1]["error"]["code"] == control.NOT_ALLOWED


async def test_an_unknown_group_is_a_clear_error(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", "no-such-group-here", METHODS)
    with pytest.raises(LookupError, match="no-such-group-here"):
        await server.start()


async def test_replaces_a_socket_that_a_killed_agent_left(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    server = ControlServer(tmp_path / "control.sock", "", METHODS)
    await server.start()
    assert (await _ask(tmp_path / "control.sock", _request("greet", {"name": "you"})))[0]["result"] == "hello you "
    await server.stop()
    assert not (tmp_path / "control.sock").exists()


async def test_stop_ends_the_connections(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", "", METHODS)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
    writer.write(_request("greet", {"name": "you"}))
    await reader.readline()
    await server.stop()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
