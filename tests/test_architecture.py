"""The rules of the house, read from the imports: who may know whom, what stays pure, how long a file may be.

Every import counts, wherever it stands: in a function, under TYPE_CHECKING, in a try.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "chargepoint": {"chargepoint", "firmware", "logs", "security"},
    "firmware": {"firmware", "security"},
    "logs": {"logs", "security"},
    "security": {"security"},
}
"""The house: the roof knows the wings and the ground, a wing knows the ground, the ground knows nobody."""

PURE = {
    "security.event",
    "security.certificate",
    "security.chain",
    "security.profile",
    "security.fallback",
    "security.inquiry",
    "security.ocsp",
    "security.crl",
    "security.reception",
    "security.signing_certificate",
    "firmware.status",
    "firmware.request",
    "firmware.machine",
    "firmware.choice",
    "firmware.command",
    "firmware.event",
    "firmware.order",
    "firmware.record",
    "firmware.state",
    "firmware.command_record",
    "firmware.rauc_record",
    "firmware.simulated_boot",
    "firmware.simulated_image",
    "logs.status",
    "logs.machine",
    "logs.request",
    "logs.event",
    "logs.command",
    "logs.file_name",
    "chargepoint.frame",
    "chargepoint.backoff",
    "chargepoint.configuration_change",
    "chargepoint.connectors",
    "chargepoint.redact",
    "chargepoint.transfer_fault",
    "chargepoint.transfer_location",
    "chargepoint.transfer_verdict",
    "chargepoint.id_tag_mask",
}
"""Modules that decide and do nothing else; those of later issues are named already."""

WORLD = {
    "aiofiles", "asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib.request", "uuid", "websockets",
}  # fmt: skip
"""What a pure module does not import: input and output, clocks, chance, threads and the event loop."""

CLOCK_CALLS = {"now", "utcnow", "today", "open", "print", "input"}
"""What a pure module does not call: the clock of `datetime`, and the built-in doors to the world."""

SIMULATION = "chargepoint.simulation"
SIMULATION_DOORS = {"chargepoint.cli"}
"""The modules that may open the simulation, and only inside a function."""
SIMULATION_GUESTS = {"chargepoint.simulation.demo", "chargepoint.simulation.stage"}
"""The modules of the simulation that may know the agent, because they start one."""

HEAVY = {"jsonschema", "pycurl", "jeepney", "hypothesis", "pytest", "chargepoint.simulation"}
"""What costs time or memory at start and is therefore not imported before it is needed."""

MAX_LINES = 400


@dataclass(frozen=True)
class Import:
    """One import: the module's dotted name as far as it is a module, and where it stands."""

    target: str
    line: int
    in_function: bool


@cache
def sources() -> Mapping[str, Path]:
    """Return all modules of the four packages: dotted name -> file."""
    found = {}
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(sources()[module].read_text(encoding="utf-8"), sources()[module].name)


@cache
def imports(module: str) -> tuple[Import, ...]:
    return tuple(_walk_imports(tree(module), in_function=False))


def _walk_imports(node: ast.AST, *, in_function: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, in_function) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: relative imports hide the direction; write the full name"
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                yield Import(whole if whole in sources() else str(child.module), child.lineno, in_function)
        else:
            inside = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk_imports(child, in_function=inside)


def own_imports(module: str) -> set[str]:
    return {each.target for each in imports(module) if each.target in sources()} - {module}


def ways_from(module: str) -> Mapping[str, str]:
    """Return every module of ours that this one needs, itself first, each with one way that leads there."""
    ways = {module: module}
    queue = [module]
    while queue:
        here = queue.pop()
        for target in own_imports(here) - ways.keys():
            ways[target] = f"{ways[here]} -> {target}"
            queue.append(target)
    return ways


def within(name: str, roof: str) -> bool:
    return name == roof or name.startswith(roof + ".")


def place(module: str, line: int) -> str:
    return f"{sources()[module].relative_to(ROOT)}:{line}"


def complain(faults: list[str], advice: str) -> None:
    if faults:
        pytest.fail("\n".join([*sorted(faults), "", advice]), pytrace=False)


def test_no_package_imports_up_or_sideways() -> None:
    faults = [
        f"{place(module, each.line)} imports {each.target}"
        for module in sources()
        for each in imports(module)
        if (top := each.target.partition(".")[0]) in MAY_IMPORT and top not in MAY_IMPORT[module.partition(".")[0]]
    ]
    complain(
        faults,
        "chargepoint -> {firmware, logs} -> security: say what you need as a Protocol in the lower package and let the "
        "roof hand in the adapter.",
    )


def test_no_module_imports_itself_by_a_circle() -> None:
    reached: set[str] = set()
    circles: list[str] = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            circles.append(" -> ".join((*path[path.index(module) :], module)))
        elif module not in reached:
            for target in sorted(own_imports(module)):
                visit(target, (*path, module))
            reached.add(module)

    for module in sources():
        visit(module, ())
    complain(circles, "Move what both need into a third module, or hand it in when the object is built.")


@pytest.mark.parametrize("module", sorted(PURE & set(sources())))
def test_a_pure_module_does_not_reach_the_world(module: str) -> None:
    faults = [
        f"{place(here, each.line)} imports {each.target} ({way})"
        for here, way in ways_from(module).items()
        for each in imports(here)
        if any(within(each.target, name) for name in WORLD)
    ]
    complain(faults, f"{module} decides only: take times, paths and bytes as arguments, and act in the shell.")


@pytest.mark.parametrize("module", sorted(PURE & set(sources())))
def test_a_pure_module_asks_no_clock_and_opens_nothing(module: str) -> None:
    calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    named = [
        (call, call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", ""))
        for call in calls
    ]
    faults = [f"{place(module, call.lineno)} calls {name}()" for call, name in named if name in CLOCK_CALLS]
    complain(faults, f"{module} decides only: the time and the bytes come in as arguments.")


def test_the_agent_does_not_know_the_simulation() -> None:
    faults = [
        f"{place(module, each.line)} imports {each.target}"
        for module in sources()
        if not within(module, SIMULATION)
        for each in imports(module)
        if within(each.target, SIMULATION) and not (module in SIMULATION_DOORS and each.in_function)
    ]
    complain(faults, "Only a command of chargepoint/cli.py opens the simulation, inside its function.")


def test_the_simulation_shares_nothing_with_the_agent() -> None:
    faults = [
        f"{place(module, each.line)} imports {each.target}"
        for module in sources()
        if within(module, SIMULATION) and module not in SIMULATION_GUESTS
        for each in imports(module)
        if each.target in sources() and not within(each.target, SIMULATION)
    ]
    complain(
        faults, "A mistake that both sides share passes every test: give the simulated Central System its own code."
    )


def test_no_file_is_too_long() -> None:
    folders = [*MAY_IMPORT, "tests", "benchmarks", "docs"]
    lengths = {
        path: path.read_text(encoding="utf-8").count("\n") for each in folders for path in (ROOT / each).rglob("*.py")
    }
    faults = [f"{path.relative_to(ROOT)} has {lines} lines" for path, lines in lengths.items() if lines > MAX_LINES]
    complain(faults, f"At most {MAX_LINES} lines: split at the second noun.")


@pytest.mark.parametrize("module", sorted({"chargepoint.cli", "chargepoint.agent"} & set(sources())))
def test_nothing_is_imported_before_it_is_needed(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=50)
    assert done.returncode == 0, done.stderr
    heavy = sorted(HEAVY & set(done.stdout.split()))
    complain([f"{module} imports {name} at start" for name in heavy], "Import it inside the function that needs it.")
