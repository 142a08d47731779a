"""A setting: how one key of config.toml is described, and how a table of such keys is read.

Each key is described once, as a field of a frozen dataclass made with `setting`: its name and type are the field's, its
unit, default, bounds and reason stand in the metadata. The reader below and the table of bounds in docs/ both live from
that description, so that they cannot disagree.

- A duration is a `timedelta` in the program and a number in the file, whose key ends in the unit (`open_timeout_s`).
- An optional text or path that is empty in the file is None in the program.
- For text, the bounds are its length; for a table with numbered keys, the range of the numbers.
- A key that is wrong reads as its default, or as empty, so that all mistakes are found in one reading; the caller
  gives nothing away before the list of mistakes is empty.

Not done here: rules between keys, and files on the disk (settings.py).
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

from chargepoint.mistake import MistakeList

T = TypeVar("T")
Check = Callable[[str], str | None]
"""Judges one text; returns the reason why it is refused, None when it is good."""

SECONDS: Final[Mapping[str, int]] = {"s": 1, "days": 86_400}
"""The units in which config.toml counts durations."""

_RULE = "setting"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is known of one key besides its name, its type and its default."""

    unit: str
    low: float | None
    high: float | None
    why: str
    check: Check | None


@dataclass(frozen=True, slots=True)
class Description:
    """One key as the documents list it; `default` is as config.toml would have it, "" for a required key."""

    table: str
    key: str
    unit: str
    default: str
    low: float | None
    high: float | None
    why: str


class _Wrong(Exception):
    """Raised inside the reader: this value is refused for this reason."""


# Any, as dataclasses.field itself is typed: the value stands in for the field's default.
def setting(
    default: object = dataclasses.MISSING,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    why: str = "",
    check: Check | None = None,
    secret: bool = False,
) -> Any:
    """Describe one key of config.toml.

    Args:
        default: what holds where the file is silent; without it the key is required.
        unit: of a number; "s" or "days" for a `timedelta`, whose key then ends in it.
        low: the smallest number, or shortest text, that is accepted.
        high: the largest number, or longest text, that is accepted; every number has one.
        why: the reason for the default, in one line for people.
        check: a further judge of a text, of each text where there are several.
        secret: may hold a credential, so it is left out of the repr.
    """
    metadata = {_RULE: Rule(unit, low, high, why, check)}
    if isinstance(default, Mapping):
        empty = default
        return dataclasses.field(default_factory=lambda: empty, repr=not secret, metadata=metadata)
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


def describe(kind: type, table: str) -> Iterator[Description]:
    """Yield the description of each key of a table, in the order of the file."""
    for field, key, rule in _keys(kind):
        yield Description(table, key, rule.unit, _default_text(field, rule), rule.low, rule.high, rule.why)


def read_table(kind: type[T], table: str, values: Mapping[str, object], mistakes: MistakeList) -> T:
    """Read one table of the file into its dataclass; whatever is wrong is added to `mistakes`.

    Args:
        kind: a dataclass whose fields are settings.
        table: the table's name in the file.
        values: what the file holds there.
        mistakes: grows by a line for each unknown, missing, mistyped or refused key.
    """
    keys = [key for _, key, _ in _keys(kind)]
    _note_unknown(table, values, keys, mistakes)
    good = {}
    for field, key, rule in _keys(kind):
        if key in values:
            try:
                good[field.name] = _read(field.type, rule, values[key], f"{table}.{key}", mistakes)
                continue
            except _Wrong as wrong:
                mistakes.add(table, key, values[key], str(wrong))
        elif _is_required(field):
            mistakes.add_at(table, key, "(missing)", "this key is required")
        if _is_required(field):
            good[field.name] = _EMPTY[field.type]
    return kind(**good)


def _note_unknown(table: str, given: Mapping[str, object], known: Collection[str], mistakes: MistakeList) -> None:
    for key, value in given.items():
        if key not in known:
            mistakes.add(table, key, value, "there is no such key" + did_you_mean(key, known))


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return ``; did you mean X?`` where a known name is close to this one, else nothing."""
    from difflib import get_close_matches  # needed only where something is wrong already

    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name[:100].lower(), by_lower, n=1)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def _keys(kind: type) -> Iterator[tuple[dataclasses.Field[object], str, Rule]]:
    for field in dataclasses.fields(kind):
        rule: Rule = field.metadata[_RULE]
        yield field, f"{field.name}_{rule.unit}" if field.type is timedelta else field.name, rule


def _is_required(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default_text(field: dataclasses.Field[object], rule: Rule) -> str:
    match field.default:
        case dataclasses.MISSING:
            return "" if _is_required(field) else "{}"
        case timedelta() as duration:
            return f"{duration.total_seconds() / SECONDS[rule.unit]:g}"
        case bool() as switch:
            return str(switch).lower()
        case None | tuple():
            return "[]" if field.default == () else '""'
        case str() | Path() as text:
            return f'"{text}"'
        case number:
            return str(number)


def _read(kind: object, rule: Rule, value: object, place: str, mistakes: MistakeList) -> object:
    """Turn a value of the file into one of the program; raises _Wrong."""
    choices = get_args(kind)
    if get_origin(kind) is Literal:
        return _choice(choices, value)
    if get_origin(kind) is tuple:
        return _items(choices[0], rule, value)
    if get_origin(kind) is Mapping:
        return _entries(choices, rule, value, place, mistakes)
    if NoneType in choices:
        (kind,) = (choice for choice in choices if choice is not NoneType)
        if value == "":
            return None
    return _SCALARS[kind](rule, value)


def _choice(choices: tuple[object, ...], value: object) -> object:
    if value in choices and isinstance(value, str):
        return value
    raise _Wrong("must be one of " + ", ".join(f'"{choice}"' for choice in choices))


def _items(kind: object, rule: Rule, value: object) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise _Wrong("must be an array of texts in square brackets")
    items = []
    for number, item in enumerate(value, start=1):
        try:
            items.append(_SCALARS[kind](rule, item))
        except _Wrong as wrong:
            raise _Wrong(f"entry {number}: {wrong}") from None
    return tuple(items)


def _entries(kinds: tuple[object, ...], rule: Rule, value: object, place: str, mistakes: MistakeList) -> object:
    """Read a table whose keys the file chooses; a bad entry is noted under its own key and left out."""
    if not isinstance(value, dict):
        raise _Wrong("must be a table")
    key_kind, entry_kind = kinds
    if entry_kind is object:
        return value
    entries = {}
    for key, entry in value.items():
        try:
            entries[_number_key(rule, key) if key_kind is int else key] = _SCALARS[entry_kind](_unbounded(rule), entry)
        except _Wrong as wrong:
            mistakes.add(place, key, entry, str(wrong))
    return entries


def _number_key(rule: Rule, key: str) -> int:
    assert rule.low is not None and rule.high is not None  # noqa: S101, PT018 - a slip of ours, not of the file
    known = {str(number): number for number in range(int(rule.low), int(rule.high) + 1)}
    if key not in known:
        raise _Wrong(f"the key must be a {rule.unit}, {rule.low} to {rule.high}")
    return known[key]


def _unbounded(rule: Rule) -> Rule:
    return dataclasses.replace(rule, low=None, high=None)


def _text(rule: Rule, value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("must be text in quotes")
    if rule.low is not None and len(value) < rule.low:
        raise _Wrong("must not be empty" if rule.low == 1 else f"must have at least {rule.low} characters")
    if rule.high is not None and len(value) > rule.high:
        raise _Wrong(f"must have at most {rule.high} characters, these are {len(value)}")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value):
        raise _Wrong("must not hold control characters")
    if rule.check is not None and (reason := rule.check(value)):
        raise _Wrong(reason)
    return value


def _path(rule: Rule, value: object) -> Path:
    if not (text := _text(rule, value)):
        raise _Wrong("must not be empty")
    return Path(text)


def _switch(_rule: Rule, value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be true or false, without quotes")
    return value


def _whole(rule: Rule, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Wrong("must be a whole number, without quotes")
    return _within(rule, value)


def _number(rule: Rule, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _Wrong("must be a number, without quotes")
    return float(_within(rule, value))


def _duration(rule: Rule, value: object) -> timedelta:
    return timedelta(seconds=_number(rule, value) * SECONDS[rule.unit])


Number = TypeVar("Number", int, float)


def _within(rule: Rule, value: Number) -> Number:
    assert rule.low is not None and rule.high is not None  # noqa: S101, PT018 - a slip of ours, not of the file
    if not rule.low <= value <= rule.high:  # so written, NaN is refused as well
        raise _Wrong(f"must be {rule.low:.15g} to {rule.high:.15g} {rule.unit}".rstrip())
    return value


_SCALARS: Final[Mapping[object, Callable[[Rule, object], object]]] = {
    str: _text,
    Path: _path,
    bool: _switch,
    int: _whole,
    float: _number,
    timedelta: _duration,
}
_EMPTY: Final[Mapping[object, object]] = {str: "", Path: Path()}
