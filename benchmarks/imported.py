"""What a running agent has imported, and whether anything is among it that only other tasks need.

Python itself tells, line by line, through ``-X importtime``: also what is imported late, inside functions.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.bed import AGENT_TRACED, Bed
from benchmarks.result import Of, Row, Wish

UNWANTED: Final = (
    "chargepoint.simulation",  # the Central System's side
    "jsonschema", "referencing", "rpds", "ocpp.charge_point", "ocpp.messages",  # the simulation and the bare package
    "pycurl", "aiofiles", "asyncssh", "aioftp", "ftplib", "httpx", "aiohttp", "requests",  # transfers
    "dbus", "dbus_fast", "jeepney", "sdbus",  # installers behind D-Bus
    "hypothesis", "pytest", "mypy", "setuptools", "pkg_resources", "pip",  # development
    "multiprocessing", "unittest", "xml", "tkinter",  # what nobody here needs
)  # fmt: skip
WISH: Final = Wish(0, of=Of.VALUE)
SETTLE_SECONDS: Final = 2.0  #: seconds; what follows the boot is over


async def measure(bed: Bed) -> list[Row]:
    """Run ours by TLS, ask it for its configuration, and read what Python noted."""
    async with bed.start(bed.agent(tls=True, program=AGENT_TRACED)) as running:
        await running.session.call("GetConfiguration", {})
        await asyncio.sleep(SETTLE_SECONDS)
    modules = dict(_modules(running.process.log))
    wrong = sorted(name for name in modules if any(name == each or name.startswith(f"{each}.") for each in UNWANTED))
    return [
        Row(f"modules that must not be there{': ' * bool(wrong)}{', '.join(wrong)}", "", [len(wrong)], wish=WISH),
        Row("modules imported by a running agent", "", [len(modules)]),
        Row("time spent in them, traced", "ms", [sum(modules.values())]),
    ]


def _modules(log: Path) -> Iterator[tuple[str, float]]:
    """Yield name and own time (ms) of each module that Python reports in a log."""
    for line in log.read_text("utf-8", errors="replace").splitlines():
        head, _, rest = line.partition("import time:")
        own, *_, name = rest.split("|") if not head and rest else ("", "")
        if own.strip().isdigit():
            yield name.strip(), int(own) / 1000
