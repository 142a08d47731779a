"""How many GetConfiguration round trips a second the Central System gets, one after the other, validation on.

Guaranteed: all Charge Points answer with the same keys and values, those that ours has; each has its own connection
(without TLS, which would add the same to each), and short batches alternate between them.
"""

import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from benchmarks.bed import Bed
from benchmarks.central_system import Session
from benchmarks.process import Broken
from benchmarks.result import Row, Wish

FLOOR_WISH: Final = Wish(0.7, at_least=True)
PACKAGE_WISH: Final = Wish(2, at_least=True)
BATCHES: Final = 30
QUICK_BATCHES: Final = 8
BATCH: Final = 100  #: round trips; a tenth of a second, so that a disturbance hits all alike

REQUESTS: Final[Mapping[str, dict[str, Any]]] = {"one key": {"key": ["HeartbeatInterval"]}, "all keys": {}}


async def measure(bed: Bed) -> list[Row]:
    """Ask ours and both baselines in turn; the first round only warms the caches."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(bed.start(bed.agent()))
        keys = await _keys(ours.session)
        json_only = await stack.enter_async_context(bed.start(bed.bare("bare_json.py", keys=keys)))
        package = await stack.enter_async_context(bed.start(bed.bare("bare_ocpp.py", keys=keys)))
        sessions = (ours.session, json_only.session, package.session)
        rows = []
        for name, payload in REQUESTS.items():
            rounds = [
                [await _rate(session, payload) for session in sessions]
                for _ in range(1 + (QUICK_BATCHES if bed.quick else BATCHES))
            ]
            mine, floor, packaged = zip(*rounds[1:], strict=True)
            what = f"GetConfiguration, {name if payload else f'all {len(keys)} keys'}"
            rows.append(Row(f"{what}, beside websockets and json", "/s", mine, floor, FLOOR_WISH))
            rows.append(Row(f"{what}, beside the ocpp package", "/s", mine, packaged, PACKAGE_WISH))
    return rows


async def _keys(session: Session) -> list[dict[str, Any]]:
    """Return what ours answers, to be answered by the baselines as well."""
    kind, _, conf = json.loads(await session.call("GetConfiguration", {}))
    if kind != 3:
        raise Broken("GetConfiguration.req was answered with CALLERROR")
    keys: list[dict[str, Any]] = conf["configurationKey"]
    return keys


async def _rate(session: Session, payload: dict[str, Any]) -> float:
    """Return the round trips per second of one batch."""
    requests = [session.request("GetConfiguration", payload) for _ in range(BATCH)]
    began = time.perf_counter()
    answer = await session.call_all(requests)
    elapsed = time.perf_counter() - began
    if not answer.startswith("[3"):
        raise Broken(f"GetConfiguration.req was answered with {answer[:200]}")
    return BATCH / elapsed
