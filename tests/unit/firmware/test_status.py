"""What a trigger for FirmwareStatusNotification brings."""

import pytest

from chargepoint.payload import enums
from firmware.state import ENDS, STATUS
from firmware.status import Answer, FirmwareStatus, answer_to_trigger, plain_status


def test_the_words_are_those_of_the_wire() -> None:
    assert {each.value for each in FirmwareStatus} == {each.value for each in enums.FirmwareStatus}
    assert {each.value for each in Answer} == {each.value for each in enums.UpdateFirmwareStatus}


def test_idle_before_the_first_update() -> None:
    assert answer_to_trigger(None, None) == (FirmwareStatus.IDLE, None)


@pytest.mark.parametrize("last_sent", ["Installed", "Idle"])
def test_idle_after_installed(last_sent: str) -> None:
    assert answer_to_trigger(last_sent, 5) == (FirmwareStatus.IDLE, None)


@pytest.mark.parametrize("status", sorted(set(FirmwareStatus) - {FirmwareStatus.INSTALLED, FirmwareStatus.IDLE}))
def test_any_other_status_is_repeated_with_its_request(status: FirmwareStatus) -> None:
    assert answer_to_trigger(status.value, 5) == (status, 5)


OCPP_1_6 = {"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"}


@pytest.mark.parametrize("status", [status for state, status in STATUS.items() if state not in ENDS])
def test_every_status_on_the_way_has_one_of_ocpp_1_6(status: FirmwareStatus) -> None:
    assert plain_status(status) in OCPP_1_6


def test_nothing_under_way_is_idle() -> None:
    assert plain_status(None) is FirmwareStatus.IDLE
