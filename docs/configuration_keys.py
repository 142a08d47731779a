"""Writes docs/configuration-keys.md: the OCPP configuration keys, from the table in chargepoint/configuration_table.py.

Run it as ``python -m docs.configuration_keys``; tests/test_configuration_keys.py fails while the page is out of date.
"""

from pathlib import Path
from typing import Final

from chargepoint.configuration_key import MAX_INTEGER, Key, Kind
from chargepoint.configuration_table import KEYS

PAGE: Final = Path(__file__).with_name("configuration-keys.md")

_HEAD: Final = """\
# Configuration keys

The OCPP configuration keys of this Charge Point. This page is generated (`make docs`) from
chargepoint/configuration_table.py, which also says which keys are absent, and why.

Access is that of the Central System: R read, W write, RW both. `chargepoint configure` and `[configuration]` of
config.toml set every key but those marked *device*. A key marked *security* leaves the security event
ReconfigurationOfSecurityParameters when it is changed.

| key | access | type | default | takes effect | meaning |
|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the page as it should be."""
    return _HEAD + "".join(_row(key) for key in KEYS.values())


def _row(key: Key) -> str:
    marks = [word for word, holds in (("device", key.fixed), ("security", key.security)) if holds]
    meaning = key.meaning + "".join(f" *({mark})*" for mark in marks)
    default = f"`{key.default}`" if key.default else "none" if key.default is None else "empty"
    cells = (f"`{key.name}`", key.access, key.kind + _bounds(key), default, key.effect, meaning)
    return f"| {' | '.join(cells)} |\n"


def _bounds(key: Key) -> str:
    if key.kind is Kind.INTEGER and key.maximum < MAX_INTEGER:
        return f", {key.minimum} to {key.maximum}"
    if key.kind is Kind.INTEGER and key.minimum > 0:
        return f", at least {key.minimum}"
    return ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
