"""What a trigger for FirmwareStatusNotification brings."""

import pytest

from chargepoint.payload import enums
from firmware.status import Answer, FirmwareStatus, answer_to_trigger


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
