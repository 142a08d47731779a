"""The page of the configuration keys tells the truth."""

from chargepoint.configuration_table import KEYS
from docs import configuration_keys


def test_the_page_of_configuration_keys_is_up_to_date() -> None:
    page = configuration_keys.PAGE.read_text(encoding="utf-8")
    assert page == configuration_keys.page(), "run `make docs` and commit docs/configuration-keys.md"


def test_every_key_has_one_row() -> None:
    rows = [line.split("`")[1] for line in configuration_keys.page().splitlines() if line.startswith("| `")]
    assert rows == list(KEYS)
