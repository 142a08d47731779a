"""A firmware image as the simulated slots understand it: any file, whose first lines may say what it wants to be.

    version=1.1.0          the version; without it a version in the file name, else the beginning of the file's hash
    install=fail           the installation fails
    install=verification   the installer's own check refuses the image
    install=hang           the installation stops half-way and never ends by itself
    install=rollback       it installs, but does not boot: the boot loader goes back to the old slot
    activation=reboot      the new firmware runs after a reboot, whatever config.toml says
    activation=at-once     ... as soon as it is installed

The lines stand at the beginning, in any order; the first line of another form ends them. Pure.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HEAD_BYTES: Final = 4096  #: bytes; the beginning of an image that is searched for markers, a page
MAX_VERSION_CHARACTERS: Final = 50  #: characters; firmwareVersion of BootNotification.req
HASH_CHARACTERS: Final = 16  #: characters; of a hash that stands for a version, enough that no two are alike

_MARKER = re.compile(rb"([a-z]+)=([!-~]{1,%d})" % MAX_VERSION_CHARACTERS)
_VERSION = re.compile(r"(?<![0-9.])(\d+(?:\.\d+)+(?:-?(?:alpha|beta|rc)[.-]?\d*)?)")


class Behaviour(StrEnum):
    """What the installation of an image comes to."""

    SUCCEED = "succeed"
    FAIL = "fail"
    VERIFICATION = "verification"
    HANG = "hang"
    ROLLBACK = "rollback"


class Activation(StrEnum):
    """When a new firmware begins to run."""

    REBOOT = "reboot"
    AT_ONCE = "at-once"


@dataclass(frozen=True, slots=True)
class SimulatedImage:
    """What an image says of itself.

    Attributes:
        version: the version that runs when it runs.
        behaviour: what its installation comes to.
        activation: when it begins to run, None where the image leaves that to config.toml.
    """

    version: str
    behaviour: Behaviour = Behaviour.SUCCEED
    activation: Activation | None = None


def read_image(head: bytes, file_name: str, sha256: str) -> SimulatedImage:
    """Read what an image says of itself.

    Args:
        head: its first `HEAD_BYTES`, or all of it.
        file_name: the name that it was published under.
        sha256: of the whole file, in hex.

    Raises:
        ValueError: a marker has a value that there is not; the text says which.
    """
    markers = dict(_markers(head))
    activation = markers.get("activation")
    return SimulatedImage(
        version=markers.get("version") or version_in(file_name) or sha256[:HASH_CHARACTERS],
        behaviour=Behaviour(markers.get("install", Behaviour.SUCCEED)),
        activation=None if activation is None else Activation(activation),
    )


def version_in(file_name: str) -> str | None:
    """Return the version that a file name holds, such as 1.1.0 in ``firmware-v1.1.0.bin``, None where there is none."""
    found = _VERSION.search(file_name)
    return found[1][:MAX_VERSION_CHARACTERS] if found else None


def _markers(head: bytes) -> list[tuple[str, str]]:
    markers = []
    for line in head[:HEAD_BYTES].split(b"\n"):
        marker = _MARKER.fullmatch(line.removesuffix(b"\r"))
        if marker is None:
            break
        markers.append((marker[1].decode(), marker[2].decode()))
    return markers
