"""The command line with an agent behind the control socket, and without one: what is printed, and how it ends.

What the local commands do to the state directory is in test_local.py.
"""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chargepoint import __version__
from chargepoint.cli import CERTIFICATE_USES, main
from chargepoint.installation import Use
from chargepoint.simulation.pki import Pki
from tests.control_peer import control_peer, error, result

KEY = "00112233445566778899aabbccddeeff"
CONFIG = """
[charge_point]
identity = "CP001"
vendor = "Example Vendor"
model = "Example Model"
serial_number = "SN-0001"
[central_system]
url = "ws://127.0.0.1:1/ocpp"
[state]
directory = "state"
[control]
socket = "../control.sock"
"""


@pytest.fixture(autouse=True)
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a directory with a good config.toml, and put the log of the process back."""
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARGEPOINT_CONFIG", raising=False)
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook = hook
    logging.captureWarnings(capture=False)


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path / "control.sock"


Output = pytest.CaptureFixture[str]


def test_check_says_that_a_good_file_is_good(capsys: Output) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "config.toml is good\n"


def test_check_prints_a_line_for_each_mistake(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "bad.toml").write_text(CONFIG.replace("CP001", "CP:001").replace("ws:", "http:"), encoding="utf-8")
    assert main(["check", "--config", "bad.toml"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" = ")[0] for line in lines] == [
        "bad.toml: [charge_point] identity",
        "bad.toml: [central_system] url",
    ]


def test_check_prints_warnings(tmp_path: Path, capsys: Output) -> None:
    with (tmp_path / "config.toml").open("a") as file:
        file.write(f'[configuration]\nSecurityProfile = 1\nAuthorizationKey = "{KEY}"\n')
    (tmp_path / "config.toml").chmod(0o644)
    assert main(["check"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("warning: ")
    assert "chmod 600" in output
    assert KEY not in output


def test_the_environment_names_the_default_and_the_option_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("CHARGEPOINT_CONFIG", str(tmp_path / "elsewhere.toml"))
    assert main(["check"]) == 2
    assert "elsewhere.toml" in capsys.readouterr().out
    assert main(["check", "--config", "config.toml"]) == 0


@pytest.mark.parametrize("form", ["text", "json"])
def test_run_ends_with_2_and_a_log_line_for_each_mistake(tmp_path: Path, capsys: Output, form: str) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.replace("CP001", "CP:001"), encoding="utf-8")
    assert main(["run", "--log-format", form]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "identity" in line
    assert form == "text" or json.loads(line)["level"] == "error"


def test_run_ends_with_3_where_the_state_cannot_be_used(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "state").touch()
    assert main(["run"]) == 3
    assert "not a directory" in capsys.readouterr().err


def test_run_ends_with_1_and_a_plain_line_where_the_board_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    async def start(*_: object) -> None:
        raise OSError("no answer on /dev/ttyS1")

    monkeypatch.setattr("chargepoint.hardware.simulated.SimulatedHardware.start", start)
    assert main(["run", "--log-level", "error"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("[hardware] driver = 'simulated': the board does not answer: no answer on /dev/ttyS1")


def test_status_is_a_table_for_people_and_json_for_programs(socket_path: Path, capsys: Output) -> None:
    status = {"identity": "CP001", "connection": {"state": "connected"}}
    with control_peer(socket_path, result(status)) as requests:
        assert main(["status"]) == 0
        assert "identity                    CP001\n" in capsys.readouterr().out
        assert main(["status", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == status
    assert [request["method"] for request in requests] == ["status", "status"]


@pytest.mark.parametrize("command", [["status"], ["call", "status"]])
def test_no_agent_is_4(command: list[str], capsys: Output) -> None:
    assert main(command) == 4
    output = capsys.readouterr()
    assert not output.out
    assert "no agent answers at" in output.err


def test_a_socket_that_is_switched_off_is_4_and_named(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.replace("../control.sock", ""), encoding="utf-8")
    assert main(["status"]) == 4
    assert "switches the control socket off" in capsys.readouterr().err


def test_call_prints_the_result(socket_path: Path, capsys: Output) -> None:
    with control_peer(socket_path, result(["x"])) as requests:
        assert main(["call", "hardware.plug_in", '{"connector": 1}']) == 0
    assert json.loads(capsys.readouterr().out) == ["x"]
    assert requests[0]["params"] == {"connector": 1}


def test_a_method_that_answers_an_error_is_5(socket_path: Path, capsys: Output) -> None:
    with control_peer(socket_path, error(-32000, "there is no\nconnector 9", {"connectors": 2})):
        assert main(["call", "hardware.plug_in", '{"connector": 9}']) == 5
    output = capsys.readouterr()
    assert not output.out
    assert output.err == 'there is no\\nconnector 9 (code -32000)\n{"connectors": 2}\n'


@pytest.mark.parametrize("params", ["{", "[1]", "1", "[" * 100_000])
def test_call_refuses_parameters_that_are_no_object(params: str, capsys: Output) -> None:
    assert main(["call", "status", params]) == 2
    assert "the parameters are" in capsys.readouterr().err


def test_configure_asks_the_agent_with_the_profile_last(socket_path: Path, capsys: Output) -> None:
    with control_peer(socket_path, result({})) as requests:
        assert main(["configure", "SecurityProfile=1", "CpoName=a=b", "HeartbeatInterval="]) == 0
    assert requests[0]["method"] == "configuration.set"
    assert list(requests[0]["params"]["values"].items()) == [
        ("CpoName", "a=b"),
        ("HeartbeatInterval", ""),
        ("SecurityProfile", "1"),
    ]
    assert "CpoName = a=b\n" in capsys.readouterr().out


def test_configure_reads_the_key_from_standard_input_and_never_prints_it(
    socket_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\r\nmore\n"))
    with control_peer(socket_path, result({})) as requests:
        assert main(["configure", "authorizationkey=-"]) == 0
    assert requests[0]["params"]["values"] == {"authorizationkey": KEY}
    output = capsys.readouterr()
    assert "authorizationkey = ***" in output.out
    assert KEY not in output.out + output.err
    assert "hint" not in output.err


def test_configure_hints_that_a_key_on_the_command_line_is_seen(socket_path: Path, capsys: Output) -> None:
    with control_peer(socket_path, result({})):
        assert main(["configure", f"AuthorizationKey={KEY}"]) == 0
    output = capsys.readouterr()
    assert "hint: AuthorizationKey=-" in output.err
    assert KEY not in output.out + output.err


def test_configure_refused_by_the_agent_is_2(socket_path: Path, capsys: Output) -> None:
    done = {"CpoName": "Rejected", "HeartbeatInterval": "Accepted"}
    reasons = "CpoName: must have at most 64 characters\nSecurityProfile: must be from 0 to 3"
    with control_peer(socket_path, error(-32000, reasons, done)):
        assert main(["configure", f"CpoName={'x' * 65}", "HeartbeatInterval=5", "SecurityProfile=4"]) == 2
    output = capsys.readouterr()
    assert not output.out
    assert output.err == f"{reasons}\nHeartbeatInterval was set\n"


def test_install_refused_by_the_agent_is_2(socket_path: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "root.pem").write_bytes(Pki.create().root_pem)
    with control_peer(socket_path, error(-32000, "Expired: it expired")):
        assert main(["install", "root.pem", "--as", "manufacturer-root"]) == 2
    assert capsys.readouterr().err == "root.pem: Expired: it expired\n"


@pytest.mark.parametrize(
    ("pairs", "words"), [(["CpoName"], "KEY=VALUE"), (["=x"], "KEY=VALUE"), (["CpoName=a", "cponame=b"], "twice")]
)
def test_configure_refuses_what_is_no_key_and_value(pairs: list[str], words: str, capsys: Output) -> None:
    assert main(["configure", *pairs]) == 2
    assert words in capsys.readouterr().err


def test_install_hands_pem_and_key_to_the_agent(socket_path: Path, tmp_path: Path, capsys: Output) -> None:
    issued = Pki.create().charge_point_certificate("SN-0001")
    (tmp_path / "cp.pem").write_bytes(issued.chain_pem)
    (tmp_path / "cp.key").write_bytes(issued.key_pem)
    with control_peer(socket_path, result({"result": "Accepted"})) as requests:
        assert main(["install", "cp.pem", "--as", "charge-point-certificate", "--key", "cp.key"]) == 0
    assert requests[0]["method"] == "certificates.install"
    assert requests[0]["params"] == {
        "pem": issued.chain_pem.decode(),
        "use": "charge-point-certificate",
        "key": issued.key_pem.decode(),
    }
    output = capsys.readouterr()
    assert output.out == "cp.pem is installed as charge-point-certificate\n"
    assert "PRIVATE" not in output.out + output.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.pem", "--as", "manufacturer-root"], "gone.pem: cannot be read: No such file or directory"),
        (["config.toml", "--as", "central-system-root"], "config.toml: is not a PEM file"),
        (["config.toml", "--as", "charge-point-certificate"], "needs its private key"),
        (["config.toml", "--as", "manufacturer-root", "--key", "x"], "--key goes with"),
    ],
)
def test_install_refuses(arguments: list[str], words: str, capsys: Output) -> None:
    assert main(["install", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_install_takes_what_the_agent_takes() -> None:
    assert tuple(Use) == CERTIFICATE_USES


@pytest.mark.parametrize("answer", ["", "no\n", "y\n", "YES\n"])
def test_reset_does_nothing_unless_yes_is_typed(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(["reset", "--to-factory"]) == 2
    output = capsys.readouterr()
    assert "Type yes" in output.out
    assert "nothing was done" in output.err
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["reset"], ["install", "x"], ["configure"], ["run", "--log-level", "loud"]]
)
def test_a_wrong_command_line_is_2(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: chargepoint" in capsys.readouterr().err


def test_version(capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"chargepoint {__version__}\n"


def test_the_program_starts_as_a_module_and_survives_a_reader_that_leaves(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    read_end, write_end = os.pipe()
    os.close(read_end)
    ended = subprocess.run(
        [sys.executable, "-m", "chargepoint", "check"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment,
        timeout=50,
    )
    os.close(write_end)
    assert (ended.returncode, ended.stderr) == (0, b"")
