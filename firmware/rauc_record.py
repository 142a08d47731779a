"""What the RAUC installer remembers, and what follows from it: which image went into which slot.

RAUC knows versions of bundles and hashes of the images inside them, not the file that the Central System has named. So
the image is noted before RAUC is told to begin, with what RAUC said of its slots then. What changes from there on shows
where the image went, whoever is there to see it: after a kill, a restart of RAUC, or a boot.

A slot holds an image for as long as RAUC says that it was not written since.

Pure: a record never changes, each step makes another; the file is that of rauc_installer.py.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as RAUC describes it.

    Attributes:
        name: for instance ``rootfs.1``.
        bootable: the boot loader knows it.
        booted: it runs.
        version: of the bundle that it came from, None where RAUC keeps no status of slots.
        installed: when and for the how-manieth time it was written, None as above.
        activated: when and for the how-manieth time it was made the next to boot, None as above.
        good: what the boot loader thinks of it, None where it does not say.
    """

    name: str
    bootable: bool
    booted: bool
    version: str | None
    installed: str | None
    activated: str | None
    good: bool | None


@dataclass(frozen=True, slots=True)
class Held:
    """An image that was brought into a slot.

    Attributes:
        sha256: of the image.
        installed: what RAUC said of the writing of the slot when that was done, None where it keeps no status.
        confirmed: it was marked good since.
    """

    sha256: str
    installed: str | None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """What RAUC says of the bootable slots.

    Attributes:
        slots: by name.
        primary: the slot that the next boot tries, None where the boot loader does not say.
    """

    slots: Mapping[str, Slot]
    primary: str | None

    @property
    def booted(self) -> Slot | None:
        """The slot that runs."""
        return next((slot for slot in self.slots.values() if slot.booted), None)

    def other(self, name: str | None) -> str | None:
        """The slot that is not this one, where that leaves just one."""
        others = [each for each in self.slots if each != name]
        return others[0] if len(others) == 1 else None


@dataclass(frozen=True, slots=True)
class Begun:
    """An image that was given to RAUC, and what was so before.

    Attributes:
        request_id: of the SignedUpdateFirmware.req that brought it.
        sha256: of the image.
        booted: the slot that ran.
        primary: the slot that the next boot would have tried.
        slots: what RAUC said of the writing and the activation of each bootable slot.
    """

    request_id: int
    sha256: str
    booted: str | None
    primary: str | None
    slots: Mapping[str, tuple[str | None, str | None]]

    @classmethod
    def of(cls, request_id: int, sha256: str, board: Board) -> Self:
        """Note an image and what is so now."""
        return cls(
            request_id,
            sha256,
            board.booted.name if board.booted else None,
            board.primary,
            {name: (slot.installed, slot.activated) for name, slot in board.slots.items()},
        )

    def target(self, board: Board) -> str | None:
        """Return the slot that the image was brought into whole, as far as RAUC's status shows it."""
        candidates = {name: slot for name, slot in board.slots.items() if name != self.booted}
        for name, slot in candidates.items():
            # RAUC activates a slot as its last step, and notes both.
            if slot.activated is not None and slot.activated != self.slots.get(name, (None, None))[1]:
                return name
        if any(slot.activated is not None for slot in board.slots.values()):
            return None
        if board.primary != self.primary and board.primary in candidates:
            return board.primary
        # Booted since: what runs now was the primary one.
        return board.booted.name if board.booted is not None and board.booted.name in candidates else None


@dataclass(frozen=True, slots=True)
class Record:
    """All that is remembered.

    Attributes:
        held: the image of each slot that was written on our word.
        begun: the image that was given to RAUC and of which the outcome was not heard yet.
    """

    held: Mapping[str, Held] = field(default_factory=dict)
    begun: Begun | None = None

    def beginning(self, begun: Begun) -> Self:
        """Return the record before RAUC is told to begin; what waited before is going to be overwritten."""
        return replace(self, begun=begun)

    def target(self, board: Board, *, heard: bool | None) -> str | None:
        """Return the slot that the image that was begun is in now, None where it was not installed, or is not known.

        Args:
            board: what RAUC says now, after it has ended.
            heard: whether RAUC has said that it succeeded, None where nobody heard it.
        """
        if self.begun is None or heard is False:
            return None
        return self.begun.target(board) or (board.other(self.begun.booted) if heard else None)

    def ended(self, board: Board, target: str | None) -> Self:
        """Return the record after RAUC has ended, with the image in a slot or in none."""
        if self.begun is None or target is None:
            return self.given_up()
        held = {**self.held, target: Held(self.begun.sha256, board.slots[target].installed)}
        return replace(self, held=held, begun=None)

    def given_up(self) -> Self:
        """Return the record after RAUC has not begun, or has failed."""
        return replace(self, begun=None)

    def running(self, board: Board) -> Held | None:
        """Return the image that runs."""
        return self._in(board.booted)

    def waiting(self, board: Board) -> Held | None:
        """Return the image that the next boot tries."""
        if board.primary is None or (board.booted is not None and board.booted.name == board.primary):
            return None
        return self._in(board.slots.get(board.primary))

    def confirmed(self, board: Board) -> bool:
        """Whether what runs was marked good; of what did not come from us the boot loader's word counts."""
        held = self.running(board)
        if held is not None:
            return held.confirmed
        return board.booted is None or board.booted.good is not False

    def marked_good(self, board: Board) -> Self:
        """Return the record after what runs was marked good."""
        held = self.running(board)
        if held is None or board.booted is None:
            return self
        return replace(self, held={**self.held, board.booted.name: replace(held, confirmed=True)})

    def _in(self, slot: Slot | None) -> Held | None:
        held = None if slot is None else self.held.get(slot.name)
        return held if held is not None and slot is not None and held.installed == slot.installed else None

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
            return cls(
                held={str(name): Held(**held) for name, held in read["held"].items()},
                begun=None if read["begun"] is None else _begun_from_json(read["begun"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not the record of an update") from error


def _begun_from_json(read: dict[str, Any]) -> Begun:
    slots = {str(name): (installed, activated) for name, (installed, activated) in read["slots"].items()}
    return Begun(int(read["request_id"]), str(read["sha256"]), read["booted"], read["primary"], slots)
