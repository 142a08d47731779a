"""A project of its own for each test: the real ledger with every claim taken back, and nothing else."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledger.ledger import LEDGER_PATH

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def unclaimed() -> str:
    """The text of the real ledger, with nothing under the verdict test."""
    return (ROOT / LEDGER_PATH).read_text(encoding="utf-8").replace('verdict = "test"', 'verdict = "planned"')


@pytest.fixture
def claim(unclaimed: str) -> Callable[..., str]:
    """Give the text of the ledger in which the named requirements were flipped from planned to test."""

    def flip(*names: str) -> str:
        text = unclaimed
        for name in names:
            row = re.compile(rf'(\[{re.escape(name)}\]\n(?:.+\n)*?verdict = )"planned"')
            text, flipped = row.subn(r'\1"test"', text)
            assert flipped == 1
        return text

    return flip
