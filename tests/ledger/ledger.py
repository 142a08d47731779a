"""The requirements of the white paper as data: what each is seen by, who must act, and whether it is shown.

Guaranteed of a `Ledger` that was read: its ids are well formed and unique, each use case has all its rows, every row
says what is observed and which side acts, every verdict is known, and what stands without proof says why.

Not done here: finding the source lines that name requirements (mention.py), running tests (plugin.py), finding tests
without running them (matrix.py).
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

MAX_IDS_PER_TEST: Final = 4  #: ids; a test that claims more proves none of them well

#: The ledger's file, relative to the root of the project.
LEDGER_PATH: Final = Path("tests/requirements.toml")

#: Where the simulated Central System lives, relative to the root of the project.
SIMULATION: Final = "chargepoint/simulation/"


@dataclass(frozen=True, slots=True)
class UseCase:
    """One use case of the white paper: its title in our words, and how many requirements its third edition counts."""

    title: str
    rows: int


USE_CASES: Final[Mapping[str, UseCase]] = {
    "A00": UseCase("Security profiles, keys and certificates", 91),
    "A01": UseCase("A new password", 12),
    "A02": UseCase("A new Charge Point certificate, ordered by the Central System", 13),
    "A03": UseCase("A new Charge Point certificate, asked for by the Charge Point", 13),
    "A04": UseCase("Security events", 4),
    "A05": UseCase("A higher security profile", 9),
    "L01": UseCase("Secure firmware update", 29),
    "M03": UseCase("Listing certificates", 4),
    "M04": UseCase("Deleting a certificate", 7),
    "M05": UseCase("Installing a root certificate", 11),
    "N01": UseCase("Retrieving logs", 11),
}


class Verdict(StrEnum):
    """What the project says of a requirement."""

    TEST = "test"
    PLANNED = "planned"
    NOT_OURS = "not-ours"
    NOT_OBSERVABLE = "not-observable"


class Side(StrEnum):
    """Who must act."""

    CHARGE_POINT = "charge-point"
    CENTRAL_SYSTEM = "central-system"
    OPERATOR = "operator"
    MANUFACTURER = "manufacturer"
    CERTIFICATE_AUTHORITY = "certificate-authority"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the ledger; the fields are explained at the top of tests/requirements.toml."""

    id: str
    observed: str
    side: tuple[Side, ...]
    verdict: Verdict
    part: str = ""
    reason: str = ""
    twin: str = ""

    @property
    def use_case(self) -> str:
        """The key of its use case in USE_CASES."""
        return self.id[:3]

    def obeyed_at(self, path: str) -> bool:
        """Whether a line of this source file can obey it.

        What a Charge Point must do is obeyed by the agent, and also where the Central System shares the duty; what the
        Central System alone must do is obeyed by the simulated one.
        """
        return path.startswith(SIMULATION) != (Side.CHARGE_POINT in self.side)


class LedgerError(Exception):
    """Raised when the ledger cannot be relied on.

    Attributes:
        faults: every fault found, one line each.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults: Final = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True, slots=True)
class Ledger:
    """All requirements by id, in the order of the file."""

    requirements: Mapping[str, Requirement]

    def of(self, verdict: Verdict) -> Iterator[Requirement]:
        """Those with this verdict."""
        return (row for row in self.requirements.values() if row.verdict is verdict)

    def summary(self) -> str:
        """The counts in one line."""
        counts = Counter(row.verdict for row in self.requirements.values())
        parts = (f"{counts[verdict]} {verdict.value.replace('-', ' ')}" for verdict in Verdict)
        return f"{len(self.requirements)} requirements: {', '.join(parts)}"

    def mark_faults(self, test: str, ids: Iterable[object]) -> Iterator[str]:
        """What is wrong with the ids that a test claims: none, too many, or not in the ledger."""
        claimed = list(ids)
        if not claimed:
            yield f"{test}: the requirement marker names no id"
        if len(claimed) > MAX_IDS_PER_TEST:
            yield f"{test}: names {len(claimed)} requirements, at most {MAX_IDS_PER_TEST} are allowed"
        for name in claimed:
            if str(name) not in self.requirements:
                yield f"{test}: names {name!r}, which is not in the ledger"

    def mention_faults(self, mentions: Mapping[str, Iterable[object]]) -> Iterator[str]:
        """The source lines that name an id which is not in the ledger."""
        for name in sorted(mentions.keys() - self.requirements.keys()):
            yield from (f"{mention}: names {name}, which is not in the ledger" for mention in mentions[name])


def read_ledger(path: Path) -> Ledger:
    """Read tests/requirements.toml.

    Raises:
        LedgerError: the file cannot be read, or a row breaks a rule; all faults are told at once.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:  # a table written twice is an error of TOML itself
        raise LedgerError([f"{path.name}: {error}"]) from error
    faults: list[str] = []
    rows: dict[str, Requirement] = {}
    for name, row in _rows(document):
        found = list(_row_faults(name, row))
        faults += (f"{path.name}: {name}: {fault}" for fault in found)
        if not found and isinstance(row, dict):
            rows[name] = _requirement(name, row)
    if not faults:  # a row that was left out for its faults would only cause more of them here
        faults += (f"{path.name}: {fault}" for fault in (*_count_faults(rows), *_twin_faults(rows)))
    if faults:
        raise LedgerError(faults)
    return Ledger(rows)


_ID: Final = re.compile(r"[A-Z]\d\d\.FR\.\d{2,3}")
_TEXT_KEYS: Final = ("observed", "part", "reason", "twin")
_KEYS: Final = frozenset({*_TEXT_KEYS, "side", "verdict"})
_DEPTH: Final = 3  # [A00.FR.001] is three tables, one in the other


def _rows(node: object, *path: str) -> Iterator[tuple[str, object]]:
    """Each table of the file under its dotted name."""
    if len(path) < _DEPTH and isinstance(node, dict):
        for key, value in node.items():
            yield from _rows(value, *path, key)
    else:
        yield ".".join(path), node


def _row_faults(name: str, row: object) -> Iterator[str]:
    if not _ID.fullmatch(name) or name[:3] not in USE_CASES:
        yield "not a requirement id"
        return
    if not isinstance(row, dict):
        yield "not a table"
        return
    yield from (f"unknown key '{key}'" for key in row if key not in _KEYS)
    yield from (f"'{key}' is not a text" for key in _TEXT_KEYS if not isinstance(row.get(key, ""), str))
    if not row.get("observed"):
        yield "'observed' is missing"
    sides = row.get("side")
    if not isinstance(sides, list) or not sides:
        yield "'side' is missing or not a list"
        sides = []
    yield from (f"unknown side {side!r}" for side in sides if side not in list(Side))
    yield from _verdict_faults(row, sides)


def _verdict_faults(row: Mapping[str, object], sides: list[object]) -> Iterator[str]:
    match row.get("verdict"):
        case Verdict.TEST | Verdict.PLANNED as verdict:
            if not row.get("part"):
                yield f"'part' is missing: a {verdict} row says which part of the agent brings it"
            if sides and not {Side.CHARGE_POINT, Side.CENTRAL_SYSTEM}.intersection(map(str, sides)):
                yield f"a {verdict} row needs the side charge-point or central-system"
        case Verdict.NOT_OURS | Verdict.NOT_OBSERVABLE as verdict:
            if not row.get("reason"):
                yield f"'reason' is missing: a {verdict} row says why"
        case unknown:
            yield f"unknown verdict {unknown!r}"


def _requirement(name: str, row: Mapping[str, object]) -> Requirement:
    texts = {key: str(row[key]) for key in _TEXT_KEYS if key in row}
    sides = row["side"]
    assert isinstance(sides, list)  # _row_faults has seen to it
    return Requirement(id=name, side=tuple(map(Side, sides)), verdict=Verdict(str(row["verdict"])), **texts)


def _count_faults(rows: Iterable[str]) -> Iterator[str]:
    counts = Counter(name[:3] for name in rows)
    for key, use_case in USE_CASES.items():
        if counts[key] != use_case.rows:
            yield f"{key} has {counts[key]} rows, the white paper has {use_case.rows}"


def _twin_faults(rows: Mapping[str, Requirement]) -> Iterator[str]:
    for row in rows.values():
        if row.twin and (row.twin not in rows or rows[row.twin].twin != row.id):
            yield f"{row.id}: its twin {row.twin} does not name it back"
