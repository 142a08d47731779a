"""What the command installer remembers of the images that it gave to its command, and what follows from it.

An update goes through these stages; it is one at a time, and a new one replaces it:

    begun    on the disk before the command starts
    waits    the command has said that the next boot activates it
    active   the command has said that it runs

Of an update that failed nothing is kept. Where the agent was killed while the command worked, `begun` is all that is
known: the version that runs decides then, or a command that was made to answer.

Pure: a record never changes, each step makes another; the file is that of command_installer.py.
"""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self


class Stage(StrEnum):
    """How far an update has come."""

    BEGUN = "begun"
    WAITS = "waits"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Now:
    """What is known of this moment.

    Attributes:
        boot_id: of the boot that runs.
        version: that runs, None where nobody says it.
    """

    boot_id: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Update:
    """An image that was given to the command.

    Attributes:
        request_id: of the SignedUpdateFirmware.req that brought it.
        sha256: of the image.
        version: of the image as its file name says it, None where it does not.
        before: what was known when the command was started.
        stage: how far it has come.
        confirmed: it was marked good.
    """

    request_id: int
    sha256: str
    version: str | None
    before: Now
    stage: Stage = Stage.BEGUN
    confirmed: bool = False

    def runs(self, now: Now) -> bool:
        """Whether this image is what runs, as far as it can be known without asking the board."""
        booted = now.boot_id != self.before.boot_id
        if self.stage is Stage.ACTIVE and not booted:
            return True
        changed = now.version != self.before.version
        if self.stage is Stage.BEGUN:
            return changed and self._can_tell(now)
        return booted and (changed or not self._can_tell(now))

    def waits(self, now: Now) -> bool:
        """Whether the next boot activates this image."""
        return self.stage is Stage.WAITS and now.boot_id == self.before.boot_id

    def _can_tell(self, now: Now) -> bool:
        """Whether the version tells the old firmware from the new one; else the command is believed."""
        return now.version is not None and self.before.version not in (None, self.version)


@dataclass(frozen=True, slots=True)
class Record:
    """All that is remembered.

    Attributes:
        running_sha256: of the image that ran before the update, None where it came from elsewhere.
        update: the last one, None where it failed, was withdrawn, or there was none.
    """

    running_sha256: str | None = None
    update: Update | None = None

    def running(self, now: Now) -> str | None:
        """Return the hash of the image that runs."""
        return self.update.sha256 if self.update is not None and self.update.runs(now) else self.running_sha256

    def waiting(self, now: Now) -> str | None:
        """Return the hash of the image that the next boot activates."""
        return self.update.sha256 if self.update is not None and self.update.waits(now) else None

    def confirmed(self, now: Now) -> bool:
        """Whether what runs was marked good."""
        return self.update is None or self.update.confirmed or not self.update.runs(now)

    def begun(self, update: Update) -> Self:
        """Return the record with a new update, which says by itself what runs before it."""
        return replace(self, running_sha256=self.running(update.before), update=update)

    def at(self, stage: Stage) -> Self:
        """Return the record after the command has said how far the update is."""
        return self if self.update is None else replace(self, update=replace(self.update, stage=stage))

    def failed(self) -> Self:
        """Return the record after the update has failed."""
        return replace(self, update=None)

    def withdrawn(self, now: Now) -> Self:
        """Return the record after what waited was withdrawn; an update that runs stays."""
        return self if self.update is None or self.update.runs(now) else replace(self, update=None)

    def marked_good(self, now: Now) -> Self:
        """Return the record after what runs was marked good; an update that waits is not meant."""
        if self.update is None or not self.update.runs(now):
            return self
        return replace(self, update=replace(self.update, confirmed=True))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, read: dict[str, Any]) -> Self:
        """Read what `to_json` has returned.

        Raises:
            ValueError: it was not.
        """
        try:
            return cls(read["running_sha256"], None if read["update"] is None else _update_from_json(read["update"]))
        except (KeyError, TypeError) as error:
            raise ValueError("not the record of an update") from error


def _update_from_json(read: dict[str, Any]) -> Update:
    return Update(
        request_id=int(read["request_id"]),
        sha256=str(read["sha256"]),
        version=read["version"],
        before=Now(str(read["before"]["boot_id"]), read["before"]["version"]),
        stage=Stage(read["stage"]),
        confirmed=bool(read["confirmed"]),
    )
