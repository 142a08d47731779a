"""A secret shows itself to nobody who did not ask (A01.FR.12)."""

import copy
import pickle
import traceback
from collections.abc import Callable

import pytest

from security.secret import Secret

VALUE = b"correct horse battery"


@pytest.mark.requirement("A01.FR.12")
def test_is_not_in_any_text_that_is_made_of_it() -> None:
    secret = Secret(VALUE)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr({"key": [secret]})):  # noqa: UP031
        assert "correct" not in text
        assert "<secret>" in text


def test_is_not_in_a_traceback() -> None:
    with pytest.raises(LookupError) as raised:
        raise LookupError(Secret(VALUE))
    assert "correct" not in "".join(traceback.format_exception(raised.value))


def test_reveals_its_bytes_to_who_asks() -> None:
    assert Secret(VALUE).reveal() == VALUE


def test_is_equal_to_the_same_secret_only() -> None:
    assert Secret(VALUE) == Secret(bytes(VALUE))
    assert hash(Secret(VALUE)) == hash(Secret(VALUE))
    assert Secret(VALUE) != Secret(b"another")
    assert Secret(VALUE) != VALUE


@pytest.mark.parametrize("serialise", [pickle.dumps, copy.copy, copy.deepcopy])
def test_cannot_be_serialised(serialise: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError, match="cannot be serialised"):
        serialise(Secret(VALUE))


def test_has_no_attributes_to_look_into() -> None:
    assert not hasattr(Secret(VALUE), "__dict__")
