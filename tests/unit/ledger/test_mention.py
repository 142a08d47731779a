from pathlib import Path

import pytest

from tests.ledger.mention import Mention, ids_in, read_mentions


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("# A00.FR.309: close first", ["A00.FR.309"]),
        ("(A00.FR.307, A00.FR.411)", ["A00.FR.307", "A00.FR.411"]),
        ("A00.FR.501-503", ["A00.FR.501", "A00.FR.502", "A00.FR.503"]),
        ("L01.FR.28/29", ["L01.FR.28", "L01.FR.29"]),
        ("L01.FR.06/07/18-19.", ["L01.FR.06", "L01.FR.07", "L01.FR.18", "L01.FR.19"]),
        ("A00.FR.309-based", ["A00.FR.309"]),
        ("A00.FR.5xx and XA00.FR.501", []),
        ("A00.FR.310-309", ["A00.FR.310", "A00.FR.310-309"]),
        ("A00.FR.309-2026", ["A00.FR.309", "A00.FR.309-2026"]),
    ],
)
def test_reads_ids_ranges_and_lists(text: str, ids: list[str]) -> None:
    assert list(ids_in(text)) == ids


def test_finds_the_lines_of_the_four_packages_only(tmp_path: Path) -> None:
    for name in ("security/tls.py", "chargepoint/simulation/wire.py", "tests/test_tls.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('"""Text."""\nx = 1  # A00.FR.309, A00.FR.309\n', encoding="utf-8")
    assert read_mentions(tmp_path) == {
        "A00.FR.309": [Mention("security/tls.py", 2), Mention("chargepoint/simulation/wire.py", 2)]
    }
