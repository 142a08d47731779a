"""Tells the service manager how the agent is: started, stopping, alive (the protocol of sd_notify(3)).

- Without a service manager (no NOTIFY_SOCKET) nothing happens.
- The watchdog is fed from the event loop itself: a loop that is stalled stays silent and the agent is restarted.
- A message that cannot be delivered is logged and never harms the agent.

The environment is left as it is: after a re-execution (a reset of the Charge Point) the same process speaks again.
Such a reset does not send STOPPING=1, for the service manager would then wait for the end of the process.
"""

import asyncio
import logging
import os
import socket
from datetime import timedelta
from typing import Final

SEND_TIMEOUT: Final = timedelta(seconds=1)  #: seconds; the service manager reads at once, else it has worse troubles
FEEDS_PER_WATCHDOG: Final = 2  #: count; sd_watchdog_enabled(3): feed at half of the time-out

_log = logging.getLogger(__name__)


def notify(*assignments: str) -> None:
    """Send assignments such as ``READY=1``, ``STOPPING=1``, ``STATUS=...`` to the service manager.

    A line break within an assignment becomes a space, so that no text from outside can add an assignment of its own.

    Args:
        assignments: ``NAME=value`` each; they arrive together.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    message = "\n".join(" ".join(assignment.splitlines()) for assignment in assignments)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SEND_TIMEOUT.total_seconds())
            # "@" stands for the NUL with which the address of an abstract socket begins.
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.send(message.encode())
    except OSError as error:
        _log.warning("the service manager was not told %s: %s", assignments[0].partition("=")[0], error)


def watchdog_timeout() -> timedelta | None:
    """Return the time after which a silent agent is restarted, or None where no watchdog waits for this process."""
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
        # A child process inherits the environment, but the watchdog waits for its parent.
        owner = int(os.environ.get("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        _log.warning("WATCHDOG_USEC or WATCHDOG_PID is not a number: the watchdog is not fed")
        return None
    if microseconds <= 0 or owner != os.getpid():
        return None
    return timedelta(microseconds=microseconds)


async def feed_watchdog() -> None:
    """Feed the watchdog until cancelled; return at once where there is none."""
    timeout = watchdog_timeout()
    if timeout is None:
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(timeout.total_seconds() / FEEDS_PER_WATCHDOG)
