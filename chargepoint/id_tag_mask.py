"""Masks id tags, which tell who charged, in what leaves the Charge Point as diagnostics.

They are known by what stands before them: a field ``idTag`` or ``parentIdTag``, however it is written, in JSON, in JSON
within JSON, in a repr, or in a sentence of the log.

Pure: text in, text out.
"""

import re
from typing import Any, Final

from chargepoint.redact import MASK

_NAMES: Final = frozenset({"idtag", "parentidtag", "idtags"})
_NAME: Final = r"(?P<name>\b(?:parent[ _]?)?id[ _]?tags?)"
_QUOTED: Final = re.compile(
    _NAME + r"""(?P<between>\\*["']?\s*[:=]?\s*)(?P<quote>\\*["'])(?P<tag>.*?)(?P=quote)""", re.I
)
_BARE: Final = re.compile(_NAME + r"""(?P<between>\s*[:=]\s*|\s+)(?P<tag>[^\s"',;:(){}\[\]\\]+)""", re.I)


def mask_id_tags(value: Any) -> Any:
    """Return a copy of plain JSON without id tags."""
    match value:
        case dict():
            return {
                name: MASK if _names_id_tag(name) and child is not None else mask_id_tags(child)
                for name, child in value.items()
            }
        case list():
            return [mask_id_tags(child) for child in value]
        case str():
            return mask_id_tags_in_text(value)
    return value


def mask_id_tags_in_text(text: str) -> str:
    """Return a text, of one or many lines, without id tags."""
    if "tag" not in text and "Tag" not in text and "TAG" not in text:
        return text  # most lines: the patterns need not look
    text = _QUOTED.sub(rf"\g<name>\g<between>\g<quote>{MASK}\g<quote>", text)
    return _BARE.sub(rf"\g<name>\g<between>{MASK}", text)


def _names_id_tag(name: object) -> bool:
    return isinstance(name, str) and name.replace("_", "").lower() in _NAMES
