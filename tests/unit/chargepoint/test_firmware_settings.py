"""The table [firmware]: who installs on which board, and whether the programs are there."""

from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.firmware_settings import (
    MAX_ARGUMENTS,
    FirmwareSettings,
    InstallerName,
    firmware_warnings,
    installer_name,
)
from chargepoint.settings import HardwareSettings, Settings, SettingsError, load
from tests.agent_process import write_config
from tests.shell_script import make_script


def settings_in(directory: Path, **firmware: object) -> Settings:
    return load(write_config(directory, "ws://127.0.0.1:1/ocpp", {"firmware": firmware}))


def mistakes_in(directory: Path, **firmware: object) -> list[tuple[str, str]]:
    with pytest.raises(SettingsError) as raised:
        settings_in(directory, **firmware)
    return [(mistake.key, mistake.reason) for mistake in raised.value.mistakes]


@pytest.mark.parametrize(
    ("driver", "installer", "name"),
    [
        ("simulated", "", "simulated"),
        ("simulated", "none", "none"),
        ("acme", "", "none"),
        ("acme", "simulated", "simulated"),
    ],
)
def test_a_real_board_has_no_simulated_slots_unless_they_are_wanted(
    driver: str, installer: InstallerName, name: str
) -> None:
    assert installer_name(FirmwareSettings(installer=installer), HardwareSettings(driver=driver)) == name


def test_warns_of_simulated_slots_on_a_real_board() -> None:
    slots = FirmwareSettings(installer="simulated")
    (warning,) = firmware_warnings(slots, HardwareSettings(driver="acme"))
    assert "change nothing on this board" in warning
    assert not list(firmware_warnings(slots, HardwareSettings()))
    assert not list(firmware_warnings(FirmwareSettings(), HardwareSettings(driver="acme")))


def test_commands_that_are_there_are_good(tmp_path: Path) -> None:
    program = str(make_script(tmp_path / "program", ":"))
    settings = settings_in(
        tmp_path,
        installer="command",
        install_command=[program, "--quiet"],
        inspect_command=[program],
        mark_good_command=[program],
        withdraw_command=[program],
        install_timeout_s=0,
    )
    assert settings.firmware.install_command == (program, "--quiet")
    assert settings.firmware.install_timeout == timedelta()
    assert settings.warnings == ()


def test_the_command_installer_needs_a_command(tmp_path: Path) -> None:
    assert mistakes_in(tmp_path, installer="command") == [("install_command", 'is required with installer = "command"')]
    assert mistakes_in(tmp_path, installer="command", install_command=[""]) == [
        ("install_command", "entry 1: must not be empty")
    ]


def test_commands_of_another_installer_are_a_mistake(tmp_path: Path) -> None:
    program = str(make_script(tmp_path / "program", ":"))
    assert mistakes_in(tmp_path, install_command=[program], inspect_command=[program]) == [
        ("install_command", 'needs installer = "command" beside it'),
        ("inspect_command", 'needs installer = "command" beside it'),
    ]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/no/such/program"], "there is no such program"),
        (["program"], "must be an absolute path: the program is not searched for"),
        (["/usr"], "is not a file"),
        (["/bin/true"] * (MAX_ARGUMENTS + 1), "has 65 arguments, at most 64 are taken; write a script"),
    ],
)
def test_a_command_that_cannot_be_run_is_named(tmp_path: Path, command: list[str], reason: str) -> None:
    program = str(make_script(tmp_path / "program", ":"))
    for key in ("inspect_command", "mark_good_command", "withdraw_command"):
        found = mistakes_in(tmp_path, installer="command", install_command=[program], **{key: command})
        assert found == [(key, reason)]


def test_a_program_that_is_not_executable_is_named(tmp_path: Path) -> None:
    program = make_script(tmp_path / "program", ":")
    program.chmod(0o600)
    assert mistakes_in(tmp_path, installer="command", install_command=[str(program)]) == [
        ("install_command", f"cannot be executed by this user: chmod +x {program}")
    ]


def test_warns_of_a_program_that_others_may_change(tmp_path: Path) -> None:
    program = make_script(tmp_path / "program", ":")
    program.chmod(0o720)
    settings = settings_in(tmp_path, installer="command", install_command=[str(program)], inspect_command=["/bin/true"])
    assert settings.warnings == (f"{program} installs firmware and others may change it: chmod go-w {program}",)


def test_warns_where_a_roll_back_may_pass_unnoticed(tmp_path: Path) -> None:
    program = str(make_script(tmp_path / "program", ":"))
    (warning,) = settings_in(tmp_path, installer="command", install_command=[program]).warnings
    assert "a roll-back by the boot loader shows only where" in warning


def test_rauc_needs_jeepney(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_in(tmp_path, installer="rauc").warnings == ()
    monkeypatch.setattr("chargepoint.firmware_settings.find_spec", lambda name: None)
    assert mistakes_in(tmp_path, installer="rauc") == [
        ("installer", "needs the Python package jeepney: pip install chargepoint[rauc]")
    ]


@pytest.mark.parametrize("address", ["unix:path=/run/dbus/bus", "unix:abstract=bus"])
def test_the_bus_of_rauc_is_a_unix_socket(tmp_path: Path, address: str) -> None:
    assert settings_in(tmp_path, installer="rauc", rauc_bus=address).firmware.rauc_bus == address
    assert mistakes_in(tmp_path, rauc_bus=address) == [("rauc_bus", 'needs installer = "rauc" beside it')]
    ((key, reason),) = mistakes_in(tmp_path, installer="rauc", rauc_bus="tcp:host=localhost")
    assert key == "rauc_bus"
    assert reason.startswith("must be empty for the system's bus")
