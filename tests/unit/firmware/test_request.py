"""A request is bounded, keeps its secrets, and comes back from the disk as it was."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from firmware.request import MAX_RETRIES, MAX_RETRY_INTERVAL, FirmwareRequest
from tests.updating import HOUR, NOW, request


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"install_date_time": NOW + HOUR, "retries": 0, "retry_interval_s": 0},
        {"request_id": -1, "retries": 5, "retry_interval_s": 90, "location": "", "signature": "\ud800"},
    ],
)
def test_it_comes_back_from_the_disk(changes: dict[str, Any]) -> None:
    made = request(**changes)
    assert FirmwareRequest.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_numbers_out_of_bounds_are_bounded_or_say_nothing() -> None:
    most = request(retries=10**30, retry_interval_s=10**30)
    assert (most.retries, most.retry_interval) == (MAX_RETRIES, MAX_RETRY_INTERVAL)
    least = request(retries=-1, retry_interval_s=-1)
    assert (least.retries, least.retry_interval) == (None, None)
    assert request(retries=2, retry_interval_s=30).retry_interval == timedelta(seconds=30)


def test_an_instant_has_a_zone() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        request(retrieve_date_time=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the matter
    with pytest.raises(ValueError, match="without a zone"):
        request(install_date_time=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "damage",
    [
        lambda read: read.pop("location"),
        lambda read: read.update(request_id=None),
        lambda read: read.update(request_id=float("inf")),
        lambda read: read.update(retrieve_date_time=5),
        lambda read: read.update(install_date_time="yesterday"),
    ],
)
def test_what_is_damaged_is_refused(damage: Any) -> None:
    read = request().to_json()
    damage(read)
    with pytest.raises(ValueError):  # noqa: PT011 - any text, it goes nowhere
        FirmwareRequest.from_json(read)


def test_neither_a_status_nor_a_repr_shows_credentials() -> None:
    made = request()
    assert made.shown_location == "https://files.example.com/images/firmware-1.1.0.bin"
    assert "secret" not in repr(made)
    assert request(location="ftp://u:p@[::1]:2121/a").shown_location == "ftp://::1:2121/a"


@pytest.mark.parametrize(
    "location", ["", "firmware.bin", "https://", "https://[", "http://host:99999/x", "ftp://u:12/3@h/d"]
)
def test_a_location_that_is_no_url_is_not_shown(location: str) -> None:
    assert request(location=location).shown_location == "a location that is no URL"


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("https://host/a/firmware%201.bin?x=/y", "firmware 1.bin"),
        ("https://host/a/", None),
        ("https://host", None),
        ("https://[", None),
        ("  sftp://host/image.raucb\n", "image.raucb"),
    ],
)
def test_the_file_name_is_the_last_of_the_path(location: str, name: str | None) -> None:
    assert request(location=location).file_name == name
