"""``chargepoint demo``: walks the use cases with a simulated Central System and a real agent, and shows each step.

Every step observes something from outside: a frame that the Central System got, an answer, a refused connection, an
entry of the security log. A step that does not hold ends the demo with status 1 and shows the end of the agent's log.
"""
# ruff: noqa: T201 - a command that shows something prints

import asyncio
import json as json_module
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from chargepoint.simulation.caller import BadAnswer, CallRefused, ConnectionGone
from chargepoint.simulation.stage import NotShown, open_stage
from chargepoint.simulation.step import StepFailed
from chargepoint.simulation.walk import WALK

STEP_TIMEOUT: Final = timedelta(seconds=45)  #: time; the slowest step starts two processes, on a slow board too
LOG_LINES: Final = 30  #: lines of the agent's log shown when a step does not hold; a traceback fits


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step."""

    step: str
    requirements: tuple[str, ...]
    held: bool
    observed: str
    seconds: float
    shown: bool = True


def main(*, json: bool) -> int:
    """Run the demo.

    Args:
        json: print one JSON object at the end instead of lines for people.

    Returns:
        0 if every step held, 1 if one did not.
    """
    with tempfile.TemporaryDirectory(prefix="chargepoint-demo-") as directory:
        return asyncio.run(_run(Path(directory), for_people=not json))


async def _run(directory: Path, *, for_people: bool) -> int:
    outcomes: list[Outcome] = []
    log_end = ""
    if for_people:
        print(
            "A Central System and a Charge Point on this machine walk through profiles, logs and firmware.\n",
            flush=True,
        )
    async with open_stage(directory) as stage:
        for step in WALK:
            began, shown = time.monotonic(), True
            try:
                async with asyncio.timeout(STEP_TIMEOUT.total_seconds()):
                    observed, held = await step.act(stage), True
            except NotShown as missing:
                observed, held, shown = f"not shown: {missing}", True, False
            except (StepFailed, CallRefused, BadAnswer, ConnectionGone, RuntimeError, TimeoutError, OSError) as error:
                observed, held = str(error) or type(error).__name__, False
            ids = step.requirements if shown else ()
            outcome = Outcome(step.title, ids, held, observed, round(time.monotonic() - began, 3), shown)
            outcomes.append(outcome)
            if for_people:
                _show(outcome, len(outcomes))
            if not held:
                log_end = _tail(stage.log_file)
                break
    held = all(outcome.held for outcome in outcomes)
    if for_people:
        _conclude(held=held, missing=sum(not outcome.shown for outcome in outcomes), log_end=log_end)
    else:
        print(json_module.dumps({"held": held, "steps": [asdict(each) for each in outcomes], "log": log_end}))
    return 0 if held else 1


def _show(outcome: Outcome, number: int) -> None:
    mark = ("ok  " if outcome.shown else "--  ") if outcome.held else "FAIL"
    print(f"{mark} {number:2}. {outcome.step}  ({outcome.seconds:.1f} s)")
    print(f"         {outcome.observed}")
    if outcome.requirements:
        print(f"         {' '.join(outcome.requirements)}")
    print(flush=True)


def _conclude(*, held: bool, missing: int, log_end: str) -> None:
    if held:
        words = f"Every step held, but for {missing} that could not be shown here." if missing else "Every step held."
        print(f"{words} Next: README.md, «Point it at a real Central System».")
    else:
        print(f"The last step did not hold. The end of the agent's log:\n\n{log_end}", file=sys.stderr)


def _tail(log_file: Path) -> str:
    lines = log_file.read_text(errors="replace").splitlines() if log_file.exists() else []
    return "\n".join(lines[-LOG_LINES:])
