"""By which protocols this machine can transfer files: what its libcurl can do, learnt without keeping it loaded.

pycurl takes 8 MiB and 50 ms, and a board may not transfer a file for months. So a process of its own is asked once, and
its answer is remembered until another build of pycurl is installed. Before it is known, pycurl that is installed counts
as able to do all, which its wheels are.

Not done here: which of them are switched on (configuration.py).
"""

import asyncio
import importlib.util
import json
import logging
import sys
from pathlib import Path
from typing import Final

from chargepoint.configuration_table import TRANSFER_PROTOCOLS
from security import durable
from security.errors import DurableError

PROTOCOLS_NAME: Final = "protocols.json"
MAX_ANSWER_BYTES: Final = 4096  #: bytes of what is remembered; ours takes 200
ASK_SECONDS: Final = 20.0  #: seconds until the process must have answered; it takes 0.1 s, a small board's disk longer

_QUESTION: Final = "import json, pycurl; print(json.dumps(pycurl.version_info()[8]))"

_log = logging.getLogger(__name__)


class Protocols:
    """What libcurl can do here.

    Args:
        directory: where it is remembered; made when it is.
    """

    def __init__(self, directory: Path) -> None:
        self._cache = directory / PROTOCOLS_NAME
        self._build = _installed_build()
        self._able = self._remembered() if self._build else ()
        self._asking = asyncio.Lock()
        if not self._build:
            _log.warning("files cannot be transferred: pycurl is not installed (pip install chargepoint[transfers])")

    @property
    def able(self) -> tuple[str, ...]:
        """The protocols, as SupportedFileTransferProtocols calls them; certain once `learn` has returned."""
        return TRANSFER_PROTOCOLS if self._able is None else self._able

    async def learn(self) -> None:
        """Find out for certain; at once where it is known. Cancelling leaves it to the next call."""
        async with self._asking:
            if self._able is None:
                self._able = await _ask()
                await asyncio.to_thread(self._remember)

    def _remembered(self) -> tuple[str, ...] | None:
        try:
            known = json.loads(durable.read(self._cache, limit_bytes=MAX_ANSWER_BYTES))
            if known["build"] == self._build:
                return tuple(name for name in TRANSFER_PROTOCOLS if name in known["able"])
        except (DurableError, ValueError, LookupError, TypeError):
            pass  # not asked yet, or damaged: it is asked again
        return None

    def _remember(self) -> None:
        try:
            durable.make_directory(self._cache.parent)
            durable.write(self._cache, json.dumps({"build": self._build, "able": self._able}).encode())
        except DurableError as error:
            _log.warning("what pycurl can do is not remembered: %s", error)


def _installed_build() -> str:
    """Return what tells this build of pycurl from others, "" where there is none."""
    spec = importlib.util.find_spec("pycurl")
    if spec is None or spec.origin is None:
        return ""
    try:
        status = Path(spec.origin).stat()
    except OSError:
        return spec.origin
    return f"{spec.origin} {status.st_size} {status.st_mtime_ns}"


async def _ask() -> tuple[str, ...]:
    """Ask the pycurl that is installed; what does not load can do nothing."""
    process = await asyncio.create_subprocess_exec(
        # -P: a file of that name in the present directory is none of ours
        *(sys.executable, "-P", "-c", _QUESTION),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(ASK_SECONDS):
            answer, complaint = await process.communicate()
        names = json.loads(answer) if process.returncode == 0 else []
    except (TimeoutError, ValueError) as error:
        names, complaint = [], (str(error) or "it does not answer").encode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    able = tuple(name for name in TRANSFER_PROTOCOLS if name.lower() in names)
    if not able:
        last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
        _log.error("files cannot be transferred: pycurl does not load: %s", ascii(last[:200]))
    return able
