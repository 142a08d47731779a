from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledger.ledger import LEDGER_PATH, LedgerError, Side, Verdict, read_ledger

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def faults_of(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """Read a text as the ledger and give what is wrong with it."""

    def read(text: str) -> tuple[str, ...]:
        path = tmp_path / "requirements.toml"
        path.write_text(text, encoding="utf-8")
        try:
            read_ledger(path)
        except LedgerError as error:
            return error.faults
        return ()

    return read


@pytest.mark.parametrize(
    ("use_case", "rows"),
    [
        ("A00", 91), ("A01", 12), ("A02", 13), ("A03", 13), ("A04", 4), ("A05", 9),
        ("L01", 29), ("M03", 4), ("M04", 7), ("M05", 11), ("N01", 11),
    ],
)  # fmt: skip
def test_holds_every_requirement_of_a_use_case(use_case: str, rows: int) -> None:
    ledger = read_ledger(ROOT / LEDGER_PATH)
    assert sum(name.startswith(f"{use_case}.FR.") for name in ledger.requirements) == rows


def test_holds_all_204_requirements_and_none_that_was_removed() -> None:
    ledger = read_ledger(ROOT / LEDGER_PATH)
    assert len(ledger.requirements) == 204
    removed = {"A00.FR.207", "A00.FR.604", "A00.FR.605", "A00.FR.705", "M05.FR.05", "M05.FR.07", "N01.FR.06"}
    assert not removed & ledger.requirements.keys()


def test_calls_the_profile_of_the_other_end_not_observable() -> None:
    assert [row.id for row in read_ledger(ROOT / LEDGER_PATH).of(Verdict.NOT_OBSERVABLE)] == ["A00.FR.003"]


def test_leaves_nothing_of_the_charge_point_to_others_but_what_cannot_be_seen() -> None:
    disowned = [row.id for row in read_ledger(ROOT / LEDGER_PATH).of(Verdict.NOT_OURS) if Side.CHARGE_POINT in row.side]
    assert disowned == []


def test_says_of_no_two_requirements_the_same() -> None:
    observed = [row.observed for row in read_ledger(ROOT / LEDGER_PATH).requirements.values()]
    assert len(set(observed)) == len(observed)


def test_turns_planned_into_test_by_one_word(unclaimed: str, faults_of: Callable[[str], tuple[str, ...]]) -> None:
    assert faults_of(unclaimed.replace('verdict = "planned"', 'verdict = "test"')) == ()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('verdict = "not-observable"', 'verdict = "obvious"', "A00.FR.003: unknown verdict 'obvious'"),
        ('verdict = "not-observable"\n', "", "A00.FR.003: unknown verdict None"),
        ('part = "settings"\n', "", "A00.FR.004: 'part' is missing"),
        ('side = ["operator"]\nverdict', "verdict", "A00.FR.201: 'side' is missing"),
        ('side = ["operator"]', 'side = ["neighbour"]', "A00.FR.201: unknown side 'neighbour'"),
        ('verdict = "not-ours"', 'verdict = "test"', "A00.FR.201: a test row needs the side"),
        ('reason = "which networks', 'because = "which networks', "A00.FR.201: 'reason' is missing"),
        ('reason = "which networks', 'because = "which networks', "A00.FR.201: unknown key 'because'"),
        ('part = "settings"', "part = 4", "A00.FR.004: 'part' is not a text"),
        ('twin = "A00.FR.301"', 'twin = "A00.FR.302"', "A00.FR.202: its twin A00.FR.302 does not name it back"),
        ("[N01.FR.12]", "[N01.FR.1]", "N01.FR.1: not a requirement id"),
        ("[N01.FR.12]", "[X01.FR.12]", "X01.FR.12: not a requirement id"),
        ("[N01.FR.12]", "[N01.FR.11]", "Cannot declare ('N01', 'FR', '11') twice"),
        ("[A00.FR.001]\n", "stray = 1\n[A00.FR.001]\n", "stray: not a requirement id"),
        ("[A00.FR.001]\n", "[A00.FR]\n100 = 1\n[A00.FR.001]\n", "A00.FR.100: not a table"),
    ],
)
def test_names_the_row_and_the_fault(
    old: str, new: str, fault: str, unclaimed: str, faults_of: Callable[[str], tuple[str, ...]]
) -> None:
    assert old in unclaimed
    assert any(found.startswith(f"requirements.toml: {fault}") for found in faults_of(unclaimed.replace(old, new, 1)))


def test_misses_what_was_observed(unclaimed: str, faults_of: Callable[[str], tuple[str, ...]]) -> None:
    before, _, after = unclaimed.partition("observed = ")
    text = before + after.partition("\n")[2]
    assert faults_of(text) == ("requirements.toml: A00.FR.001: 'observed' is missing",)


def test_misses_a_row(unclaimed: str, faults_of: Callable[[str], tuple[str, ...]]) -> None:
    text = unclaimed[: unclaimed.index("[N01.FR.12]")]
    assert faults_of(text) == ("requirements.toml: N01 has 10 rows, the white paper has 11",)


def test_tells_all_faults_at_once(faults_of: Callable[[str], tuple[str, ...]]) -> None:
    assert len(faults_of('[A00.FR.001]\nside = ["operator"]\n[A00.FR.002]\nobserved = "x"\n')) > 3


def test_says_that_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file"):
        read_ledger(tmp_path / "requirements.toml")


def test_looks_for_each_side_in_its_own_sources() -> None:
    requirements = read_ledger(ROOT / LEDGER_PATH).requirements
    agent, simulation = "security/tls.py", "chargepoint/simulation/wire.py"
    assert requirements["A00.FR.307"].obeyed_at(agent)
    assert not requirements["A00.FR.307"].obeyed_at(simulation)
    assert requirements["A00.FR.305"].obeyed_at(simulation)
    assert not requirements["A00.FR.305"].obeyed_at(agent)
    assert requirements["A00.FR.311"].obeyed_at(agent)  # a duty of both ends must be met by the agent
