"""A pytest plugin that fails a run whose tests and sources do not agree with the ledger of requirements.

A test says which requirements it proves: `@pytest.mark.requirement("A00.FR.309")`, at most four ids.

Guaranteed: a run ends with status 1 and a section that says why, when
- the ledger itself is faulty (a reason is missing, a row is missing, an unknown verdict, ...),
- a test or a source line names an id that is not in the ledger, or a test names none or too many,
- in a full run, an id with the verdict `test` has no passing test; a skipped or xfailed one has not passed.

A run is full when all the tests of the project were selected and ended. One of chosen paths, one narrowed by an option,
and one that stopped early prove nothing about the requirements that they left out, and are not asked to.

Not done here: the list of skipped tests, which pytest itself prints at the end (`-ra`).
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import pytest

from tests.ledger.ledger import LEDGER_PATH, Ledger, LedgerError, Verdict, read_ledger
from tests.ledger.mention import read_mentions

MARKER: Final = "requirement"

#: Options that leave tests out without pytest_deselected being called, or that run none of them.
NARROWING_OPTIONS: Final = ("ignore", "ignore_glob", "lf", "setuponly")


def pytest_configure(config: pytest.Config) -> None:
    """Open the books; registering the same name twice is an error, so a plugin imported twice is noticed."""
    config.pluginmanager.register(Audit(config), "requirement-ledger")


class Audit:
    """One run, compared with the ledger."""

    def __init__(self, config: pytest.Config) -> None:
        self.faults: list[str] = []
        self.ledger: Ledger | None = None
        self._config = config
        self._full = _selects_everything(config)
        self._marked: defaultdict[str, list[str]] = defaultdict(list)  # requirement -> the tests that claim it
        self._passed: set[str] = set()
        self._failed: set[str] = set()  # not passed in one of its phases: failed, skipped or xfailed
        self._ended: set[str] = set()
        try:
            self.ledger = read_ledger(config.rootpath / LEDGER_PATH)
        except LedgerError as error:
            self.faults += error.faults

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note what a test claims, also when it is deselected later."""
        markers = list(item.iter_markers(MARKER))
        ids = [name for marker in markers for name in marker.args]
        if markers and self.ledger is not None:
            self.faults += self.ledger.mark_faults(item.nodeid, ids)
        for name in ids:
            self._marked[str(name)].append(item.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected ends the run by itself; its tests are not missed here."""
        self._full &= not report.failed

    def pytest_deselected(self) -> None:
        """The run is narrowed by -k, -m, --deselect, --stepwise or another plugin."""
        self._full = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a phase of a test ended: to have passed, each must be clean and the call must have been made."""
        if not report.passed or hasattr(report, "wasxfail"):
            self._failed.add(report.nodeid)
        elif report.when == "call":
            self._passed.add(report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a test has ended, so that a run that stopped early is known."""
        self._ended.add(nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Strike the balance; a run that pytest calls good fails where the ledger does not agree."""
        items = getattr(session, "items", None)  # absent where the command line was wrong
        self._full &= items is not None and all(item.nodeid in self._ended for item in items)
        if self.ledger is not None:
            self.faults += self.ledger.mention_faults(read_mentions(self._config.rootpath))
            if self._full:
                self.faults += self._unproven(self.ledger)
        if self.faults and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the counts and every fault."""
        terminalreporter.section("requirement ledger", red=bool(self.faults))
        if self.ledger is not None:
            asked = "" if self._full else " (not a full run: no proof is asked for)"
            terminalreporter.write_line(self.ledger.summary() + asked)
        for fault in dict.fromkeys(self.faults):
            terminalreporter.write_line(f"FAULT {fault}", red=True)

    def _unproven(self, ledger: Ledger) -> Iterator[str]:
        proven = self._passed - self._failed
        for requirement in ledger.of(Verdict.TEST):
            tests = self._marked[requirement.id]
            if not tests:
                yield f"{requirement.id}: has the verdict test, but no test names it"
            elif proven.isdisjoint(tests):
                yield f"{requirement.id}: has the verdict test, but none of its tests passed: {', '.join(tests)}"


def _selects_everything(config: pytest.Config) -> bool:
    """Whether the paths and options of the command line leave no test out, as far as they tell."""
    if any(config.getoption(option, default=None) for option in NARROWING_OPTIONS):
        return False
    root = config.rootpath.resolve()
    chosen = {(config.invocation_params.dir / path).resolve() for path in config.args}
    wanted = {(root / path).resolve() for path in config.getini("testpaths")}
    return root in chosen or (bool(wanted) and wanted <= chosen)
