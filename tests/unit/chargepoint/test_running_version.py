"""The version that BootNotification.req says: of the board, else of the installer, else of config.toml."""

import asyncio

import pytest

from chargepoint import running_version
from chargepoint.running_version import RunningVersion


class Version:
    """The one question of an installer that is asked here; it answers what stands there, or never."""

    def __init__(self, answer: str | None = None) -> None:
        self.answer = answer
        self.asked = 0
        self.silent = False

    async def running_version(self) -> str | None:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        return self.answer


def version_of(installer: Version | None, *, board: str | None = None, configured: str | None = None) -> RunningVersion:
    return RunningVersion(lambda: board, installer, configured)


@pytest.mark.parametrize(
    ("board", "installed", "configured", "said"),
    [
        ("3", "2", "1", "3"),
        (None, "2", "1", "2"),
        (None, None, "1", "1"),
        (None, None, None, None),
    ],
)
async def test_who_knows_best_is_believed(
    board: str | None, installed: str | None, configured: str | None, said: str | None
) -> None:
    version = version_of(Version(installed), board=board, configured=configured)
    await version.learn()
    assert version.text == said


async def test_without_an_installer_config_toml_says_it() -> None:
    version = version_of(None, configured="1")
    await version.learn()
    assert version.text == "1"


async def test_the_installer_is_asked_once_and_again_after_an_installation() -> None:
    installer = Version("1.0.0")
    version = version_of(installer)
    await version.learn()
    await version.learn()
    assert installer.asked == 1

    installer.answer = "1.1.0"
    await version.ask_again()
    assert version.text == "1.1.0"


async def test_an_installer_that_does_not_know_yet_is_asked_at_the_next_connection() -> None:
    installer = Version()
    version = version_of(installer, configured="1")
    await version.learn()
    installer.answer = "2"
    await version.learn()
    assert version.text == "2"


async def test_a_board_that_knows_spares_the_question() -> None:
    installer = Version("2")
    await version_of(installer, board="3").learn()
    assert installer.asked == 0


async def test_an_installer_that_is_silent_delays_the_boot_no_longer_than_its_bound(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running_version, "ANSWER_TIMEOUT", running_version.ANSWER_TIMEOUT * 0)
    installer = Version("1.0.0")
    installer.silent = True
    version = version_of(installer, configured="1")
    await version.learn()
    assert version.text == "1"
    assert "does not say which version runs" in caplog.text


async def test_what_is_too_long_for_the_wire_is_cut() -> None:
    version = version_of(Version("1" * 51))
    await version.learn()
    assert version.text == "1" * 50
