"""The page of the security events tells the truth, and each one that can happen has a test that makes it happen."""

import re
from pathlib import Path

from docs import security_events
from security.event import SecurityEventType

TESTS = Path(__file__).parent / "conformance" / "test_security_events.py"


def test_the_page_of_security_events_is_up_to_date() -> None:
    page = security_events.PAGE.read_text(encoding="utf-8")
    assert page == security_events.page(), "run `make docs` and commit docs/security-events.md"


def test_all_18_events_are_listed() -> None:
    assert len(SecurityEventType) == 18
    assert set(security_events.CAUSES) == set(SecurityEventType)


def test_each_event_that_can_happen_is_made_to_happen_by_a_test() -> None:
    tests = re.findall(r"^async def test_(\w+)\(", TESTS.read_text(encoding="utf-8"), re.MULTILINE)
    can_happen = {each.name.lower() for each, cause in security_events.CAUSES.items() if not cause.later}
    lacking = {each for each in can_happen if not any(test.startswith(each) for test in tests)}
    assert not lacking
