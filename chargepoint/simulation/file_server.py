"""What the simulated file servers have in common: a directory, accounts, faults, a record, and an end.

    async with FtpServer(directory) as server:
        server.add_fault(CutAfter(bytes=100_000, times=2))
        location = server.url("inbox/", account=WRITER)
        ...
        arrival = await server.arrived("STOR")
        assert (server.directory / "inbox" / name).read_bytes() == log

A server is right from birth, listens on loopback unless told otherwise, and ends with its block. It holds one
directory, with an `inbox` in it; nobody gets out of that directory. Each server runs apart from the event loop or
inside it, as its module says; `arrived` may be awaited in either case.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self
from urllib.parse import quote

from chargepoint.simulation.file_account import ACCOUNTS, ANONYMOUS, Account
from chargepoint.simulation.file_fault import Fault, FaultQueue
from chargepoint.simulation.file_record import Arrival, FileRecord
from chargepoint.simulation.recorder import EXPECT_TIMEOUT

LOOPBACK: Final = "127.0.0.1"
INBOX: Final = "inbox"


class FileServer(ABC):
    """A server of one scheme.

    Args:
        directory: what it serves; made with an `inbox` in it where it is missing.
        port: TCP port, 0 for any; it stays the same when the server is entered again.
        host: the name in its URLs and on its certificate.
        bind: the address to listen at.
        accounts: who may come.

    Attributes:
        directory: what it serves.
        port: the port it listens at.
        accounts: user -> account.
        record: what arrived.
        faults: what goes wrong next.
    """

    scheme: ClassVar[str]
    knows: ClassVar[tuple[type[Fault], ...]]  #: the faults that this server can have
    lets_in_anonymous: ClassVar[bool] = True

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        host: str = "localhost",
        bind: str = LOOPBACK,
        accounts: Sequence[Account] = ACCOUNTS,
    ) -> None:
        self.directory = directory
        self.port = port
        self.host = host
        self.bind = bind
        self.record = FileRecord(self.scheme)
        self.faults = FaultQueue()
        self.accounts = {account.user: account for account in accounts}

    async def __aenter__(self) -> Self:
        (self.directory / INBOX).mkdir(parents=True, exist_ok=True)
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def url(self, path: str = "", *, account: Account | None = None) -> str:
        """Return the address of a path, with the credentials of an account in it."""
        door = f"{quote(account.user, safe='')}:{quote(account.password, safe='')}@" if account else ""
        return f"{self.scheme}://{door}{self.host}:{self.port}/{quote(path.lstrip('/'))}"

    def add_fault(self, fault: Fault) -> None:
        """Have something go wrong.

        Raises:
            ValueError: a server of this scheme cannot have this fault.
        """
        if not isinstance(fault, self.knows):
            raise ValueError(f"{self.scheme} does not know {type(fault).__name__}")
        self.faults.add(fault)

    async def arrived(
        self,
        *commands: str,
        fits: Callable[[Arrival], bool] = lambda arrival: arrival.over,
        timeout: timedelta = EXPECT_TIMEOUT,
    ) -> Arrival:
        """Return the first arrival of these commands (none: of any) that fits, past or future.

        Args:
            commands: the commands.
            fits: what it must be like; by default over.
            timeout: how long to wait.

        Raises:
            TimeoutError: there was none in time.
        """
        return await self.record.wait(
            lambda each: each.command in (commands or (each.command,)) and fits(each), timeout=timeout
        )

    def log_in(self, user: str, password: str) -> Account | None:
        """Return the account that these credentials open, None for none."""
        if self.lets_in_anonymous and user == ANONYMOUS.user:
            return ANONYMOUS
        account = self.accounts.get(user)
        return account if account is not None and account.is_proven_by(password) else None

    def locate(self, path: str) -> Path | None:
        """Return the file of a decoded path on this server, None where the path leads out of its directory."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        return None if ".." in parts or any("\0" in part for part in parts) else self.directory.joinpath(*parts)

    @abstractmethod
    async def _start(self) -> None:
        """Listen; `port` is known afterwards."""

    @abstractmethod
    async def _stop(self) -> None:
        """Cut all connections and wait until nothing of the server is left."""
