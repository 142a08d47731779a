"""Threads for what blocks, which nobody waits for when the agent ends.

asyncio resolves names in threads of a pool, and Python waits for those at its end: a resolver that does not answer
would keep a stopped agent for 10 s or more, past the 5 s of `chargepoint run`. Here each call has a thread of its own,
which dies with the process. Whoever wants a result awaits it; what must be whole on the disk goes through
security/durable.py, for which a process that ends is no more than a power cut.

Not bounded here: there is one name to resolve a try, and each resolver gives up by itself within a minute.
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

NICENESS: Final = 10  #: steps; of 19: the event loop goes first, and nothing stands still where others work


class DaemonThreads(ThreadPoolExecutor):
    """An executor for `loop.set_default_executor`, which takes nothing but a ThreadPoolExecutor."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run the call in a thread of its own."""
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits it
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="blocking call", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nothing."""


def stand_back() -> None:
    """Let the calling thread have what others leave of the processors; the event loop has other work than files."""
    if sys.platform == "linux":  # elsewhere no thread has a priority of its own that could be set so
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + NICENESS, 19))
