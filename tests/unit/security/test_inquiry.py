from datetime import datetime

import pytest
from cryptography.x509 import ReasonFlags

from security.inquiry import CLOCK_SKEW, MAX_AGE_WITHOUT_END, Finding, out_of_date
from tests.pki import DAY, NOW


@pytest.mark.parametrize(
    ("this_update", "next_update", "now", "expected"),
    [
        (NOW, NOW + DAY, NOW, None),
        (NOW + CLOCK_SKEW, NOW + DAY, NOW, None),
        (NOW + 2 * CLOCK_SKEW, NOW + DAY, NOW, "future"),
        (NOW - 9 * DAY, NOW - CLOCK_SKEW, NOW, None),
        (NOW - 9 * DAY, NOW - 2 * CLOCK_SKEW, NOW, "out of date"),
        (NOW - MAX_AGE_WITHOUT_END, None, NOW, None),
        (NOW - 2 * MAX_AGE_WITHOUT_END, None, NOW, "out of date"),
        (NOW - 9 * DAY, NOW - 8 * DAY, None, None),
    ],
)
def test_a_statement_is_of_today(
    this_update: datetime, next_update: datetime | None, now: datetime | None, expected: str | None
) -> None:
    found = out_of_date(this_update, next_update, now)
    assert (found is None) if expected is None else (found is not None and expected in found)


def test_only_a_hold_has_an_end() -> None:
    assert Finding.revoked(ReasonFlags.certificate_hold, NOW, NOW + DAY).until == NOW + DAY
    assert Finding.revoked(ReasonFlags.key_compromise, NOW, NOW + DAY).until is None
    assert Finding.revoked(None, NOW, NOW + DAY).until is None
