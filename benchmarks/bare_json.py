"""Baseline: nothing but `websockets` and `json`, answers each GetConfiguration.req with a ready payload.

It validates nothing, knows no other message and has no limits: about the floor of what a round trip costs in Python.

Usage: bare_json.py URL root.pem keys.json, as for bare_ocpp.py.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path

import websockets

URL, ROOT, KEYS_FILE = (*sys.argv[1:], "", "")[:3]
ALL = json.loads(Path(KEYS_FILE).read_text("utf-8"))
KEYS = {each["key"]: each for each in ALL}


async def main() -> None:
    """Connect and answer until the connection ends."""
    tls = ssl.create_default_context(cafile=ROOT) if ROOT else None
    async with websockets.connect(URL, subprotocols=[websockets.Subprotocol("ocpp1.6")], ssl=tls) as socket:
        await socket.send(
            '[2,"boot","BootNotification",{"chargePointModel":"Bare","chargePointVendor":"Example Vendor"}]'
        )
        async for message in socket:
            frame = json.loads(message)
            if frame[0] == 2:
                asked = frame[3].get("key")
                answer = {"configurationKey": [KEYS[name] for name in asked] if asked else ALL}
                await socket.send(json.dumps([3, frame[1], answer]))


asyncio.run(main())
