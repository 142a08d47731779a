"""Which part of a file an HTTP Range header asks for (RFC 9110 section 14)."""

import re


class Unsatisfiable(Exception):
    """Raised when a range begins behind the end of the file, or behind its own end: 416."""


def byte_span(header: str, size: int) -> tuple[int, int]:
    """Return the first and last byte that are asked for; of an empty file the last is -1.

    Whatever is not one range of bytes, several of them for instance, asks for the whole, as the RFC allows.

    Args:
        header: value of the header, "" where there is none.
        size: bytes of the file.

    Raises:
        Unsatisfiable: there is no such part.
    """
    asked = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header, re.ASCII)
    if not asked or asked.groups() == ("", ""):
        return 0, size - 1
    first, last = asked.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise Unsatisfiable
        return size - length, size - 1
    start, end = int(first), min(int(last or size), size - 1)
    if start > end:
        raise Unsatisfiable
    return start, end
