"""What an upload is asked for, judged and kept."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from logs.request import MAX_RETRIES, MAX_RETRY_INTERVAL, Retrying, UploadRequest
from logs.status import LogKind

OURS = Retrying(3, timedelta(seconds=60))
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def request(**fields: Any) -> UploadRequest:
    given: dict[str, Any] = {
        "kind": LogKind.SECURITY_LOG,
        "request_id": 7,
        "location": "ftp://a:b@c/",
        "retrying": OURS,
    }
    return UploadRequest(**(given | fields))


class TestRetrying:
    @pytest.mark.parametrize(
        ("retries", "interval_s", "meant", "remarks"),
        [
            (None, None, OURS, 0),
            (0, 0, Retrying(0, timedelta()), 0),
            (5, 10, Retrying(5, timedelta(seconds=10)), 0),
            (-1, -1, OURS, 2),
            (10**30, 10**30, Retrying(MAX_RETRIES, MAX_RETRY_INTERVAL), 2),
            (MAX_RETRIES, int(MAX_RETRY_INTERVAL.total_seconds()), Retrying(MAX_RETRIES, MAX_RETRY_INTERVAL), 0),
        ],
    )
    def test_what_a_request_leaves_open_or_says_absurdly_is_ours_to_say(
        self, retries: int | None, interval_s: int | None, meant: Retrying, remarks: int
    ) -> None:
        judged, said = OURS.asked(retries, interval_s)
        assert judged == meant
        assert len(said) == remarks

    def test_a_remark_says_what_is_taken_instead(self) -> None:
        assert OURS.asked(-1, 90_000)[1] == [
            "retries is not between 0 and 100, 3 is taken",
            "retryInterval is not between 0 and 86400 s, 86400 s are taken",
        ]


class TestWindow:
    @pytest.mark.parametrize(
        ("oldest", "latest", "sound"),
        [
            (None, None, True),
            (NOON, None, True),
            (None, NOON, True),
            (NOON, NOON, True),
            (NOON, NOON + timedelta(seconds=1), True),
            (NOON, NOON - timedelta(seconds=1), False),
        ],
    )
    def test_does_not_end_before_it_begins(self, oldest: datetime | None, latest: datetime | None, sound: bool) -> None:
        assert request(oldest=oldest, latest=latest).is_window_sound is sound


class TestKept:
    @pytest.mark.parametrize(
        "fields", [{}, {"oldest": NOON, "latest": NOON + timedelta(microseconds=1)}, {"request_id": None}], ids=str
    )
    def test_comes_back_as_it_was(self, fields: dict[str, Any]) -> None:
        given = request(**fields)
        assert UploadRequest.from_json(json.loads(json.dumps(given.to_json()))) == given
