"""Baseline: a Charge Point in 20 lines on the bare `ocpp` package, as its documentation shows it.

Usage: bare_ocpp.py URL [root.pem [keys.json]], the keys as in the configurationKey of a GetConfiguration.conf.
"""

# mypy: allow-untyped-calls
# The package has no types.

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result

URL, ROOT, KEYS_FILE = (*sys.argv[1:], "", "")[:3]
KEYS = {each["key"]: each for each in json.loads(Path(KEYS_FILE).read_text("utf-8"))} if KEYS_FILE else {}


class Bare(ChargePoint):
    """Boots and answers GetConfiguration.req."""

    @on("GetConfiguration")  # type: ignore[untyped-decorator]
    def answer(self, key: list[str] | None = None) -> Any:
        """Answer with the keys that were asked for, or with all."""
        asked = [KEYS[name] for name in key] if key else list(KEYS.values())
        return call_result.GetConfiguration(configuration_key=asked)


async def main() -> None:
    """Connect, boot and serve until the connection ends."""
    tls = ssl.create_default_context(cafile=ROOT) if ROOT else None
    async with websockets.connect(URL, subprotocols=[websockets.Subprotocol("ocpp1.6")], ssl=tls) as socket:
        charge_point = Bare(URL.rpartition("/")[2], socket)
        boot = call.BootNotification(charge_point_model="Bare", charge_point_vendor="Example Vendor")
        await asyncio.gather(charge_point.start(), charge_point.call(boot))


asyncio.run(main())
