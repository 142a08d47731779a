"""Baseline: our own exchange sends SecurityEventNotification.req one after the other, with nothing to read or record.

Usage: bare_calls.py URL COUNT, the URL with the identity.
"""

import asyncio
import sys
from datetime import timedelta

from chargepoint.answer_memory import AnswerMemory
from chargepoint.attempt import Attempt
from chargepoint.clock import Clock
from chargepoint.connection import Connection
from chargepoint.date_time import write_date_time
from chargepoint.link import Link
from chargepoint.payload import call
from chargepoint.rpc import Exchange, Limits, Refusal, Reply
from chargepoint.setting_table import ConnectionSettings
from security.profile import SecurityProfile

URL, _, IDENTITY = sys.argv[1].rpartition("/")
COUNT = int(sys.argv[2])
LIMITS = Limits(call_timeout=timedelta(seconds=30), ping_timeout=timedelta(seconds=10), max_inbound_calls=1)


async def plan() -> Attempt:
    """Connect without security."""
    return Attempt(SecurityProfile.UNSECURED, URL, IDENTITY, authorization_key=None, roots=())


async def refuse(_request: object, _action: str) -> Reply:
    """Answer nothing that the Central System asks."""
    raise Refusal("NotSupported")  # type: ignore[arg-type]


async def raise_event(_event_type: str, _tech_info: str | None) -> None:
    """Keep no log."""


async def send_all(exchange: Exchange) -> None:
    """Send as many as were asked for."""
    timestamp = write_date_time(Clock().now())
    for number in range(COUNT):
        await exchange.call(
            call.SecurityEventNotification("TamperDetectionActivated", timestamp, tech_info=f"event {number}")
        )


async def converse(link: Link) -> None:
    """Send over the one connection until it ends."""
    exchange = Exchange(link, refuse, memory=AnswerMemory(), limits=LIMITS, raise_event=raise_event)
    sending = asyncio.create_task(send_all(exchange))
    await exchange.run()
    await sending


asyncio.run(
    Connection(
        plan,
        settings=ConnectionSettings(),
        static_rsa=True,
        system_trust_store=False,
        clock=Clock(),
        raise_event=raise_event,
    ).run(converse)
)
