"""What a boot loader remembers of two slots, and what it decides at each boot.

One slot runs. Firmware is written into the other one, which the next boot then tries. A slot that was tried
`MAX_TRIES` times and never marked good is given up: the old slot runs again, for good. An image that does not boot at
all uses up its tries within one boot of the device.

Pure: an environment never changes, each step makes another; the files are those of simulated_slots.py.
"""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

MAX_TRIES: Final = 3  #: boots; of firmware that is not marked good, as U-Boot's and RAUC's examples have it


class Name(StrEnum):
    """The two slots."""

    A = "a"
    B = "b"

    @property
    def other(self) -> "Name":
        """The slot that is not this one."""
        return Name.B if self is Name.A else Name.A


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot with whole firmware in it.

    Attributes:
        sha256: of the image that it came from, None for what the factory put in.
        version: that it says, None for what the factory put in.
        boots: whether the firmware comes up when it is booted.
    """

    sha256: str | None = None
    version: str | None = None
    boots: bool = True


@dataclass(frozen=True, slots=True)
class BootEnvironment:
    """The memory of the boot loader.

    Attributes:
        boot_id: of the boot for which it has decided last.
        running: the slot that runs.
        next: the slot that the next boot tries first.
        tries_left: how often the running firmware may still be booted without being marked good.
        confirmed: the running firmware was marked good.
        a: the first slot, None while there is nothing bootable in it.
        b: the second one.
    """

    boot_id: str
    running: Name = Name.A
    next: Name = Name.A
    tries_left: int = 0
    confirmed: bool = True
    a: Slot | None = Slot()
    b: Slot | None = None

    @property
    def current(self) -> Slot:
        """What runs."""
        slot = self.slot(self.running)
        assert slot is not None  # noqa: S101 - from_json lets no other environment in, and no step makes one
        return slot

    @property
    def waiting(self) -> Slot | None:
        """What the next boot tries, None where it starts what runs already."""
        return None if self.next is self.running else self.slot(self.next)

    def slot(self, name: Name) -> Slot | None:
        """What is in a slot."""
        return self.a if name is Name.A else self.b

    def emptied(self) -> Self:
        """Return the environment before the slot that does not run is written: nothing in it is bootable."""
        return replace(self._filled(self.running.other, None), next=self.running)

    def installed(self, slot: Slot, *, at_once: bool) -> Self:
        """Return the environment after the slot that does not run was written whole.

        Args:
            slot: what is in it now.
            at_once: it runs from now on; else the next boot tries it.
        """
        target = self.running.other
        filled = replace(self._filled(target, slot), next=target)
        return replace(filled, running=target, confirmed=False, tries_left=MAX_TRIES) if at_once else filled

    def only(self, name: Name) -> Self:
        """Return the environment in which a slot runs for good, and the other one is empty."""
        filled = self._filled(name.other, None)
        return replace(filled, running=name, next=name, confirmed=True, tries_left=0)

    def marked_good(self) -> Self:
        """Return the environment in which the running firmware stays."""
        return replace(self, confirmed=True, tries_left=0)

    def booted(self, boot_id: str) -> Self:
        """Return what the boot loader makes of a boot; for a boot that it knows already, nothing.

        Args:
            boot_id: of the boot that runs.
        """
        if boot_id == self.boot_id:
            return self
        now = replace(self, boot_id=boot_id)
        if self.waiting is not None:
            if not self.waiting.boots:
                return now.only(self.running)
            return replace(now, running=self.next, confirmed=False, tries_left=MAX_TRIES - 1)
        if self.confirmed:
            return now
        if self.tries_left > 0:
            return replace(now, tries_left=self.tries_left - 1)
        old = self.running.other
        return now if self.slot(old) is None else now.only(old)

    def _filled(self, name: Name, slot: Slot | None) -> Self:
        return replace(self, a=slot) if name is Name.A else replace(self, b=slot)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, read: dict[str, Any]) -> Self:
        """Read what `to_json` has returned.

        Raises:
            ValueError: it was not, or it has nothing that runs.
        """
        try:
            environment = cls(
                boot_id=str(read["boot_id"]),
                running=Name(read["running"]),
                next=Name(read["next"]),
                tries_left=int(read["tries_left"]),
                confirmed=bool(read["confirmed"]),
                a=_slot_from_json(read["a"]),
                b=_slot_from_json(read["b"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("not the memory of a boot loader") from error
        if environment.slot(environment.running) is None or environment.slot(environment.next) is None:
            raise ValueError("the slot that is to run is empty")
        return environment


def _slot_from_json(read: dict[str, Any] | None) -> Slot | None:
    return None if read is None else Slot(read["sha256"], read["version"], bool(read["boots"]))
