from typing import Any

import pytest

from chargepoint.frame import Call, CallError, CallResult
from chargepoint.redact import MASK, redact_frame, redact_payload, redact_url

KEY = "-----BEGIN EC PRIVATE KEY-----\nabcdef\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://user:pass@host/d", f"ftp://{MASK}@host/d"),
        ("https://user@host/d?x=a&y=b#z", f"https://{MASK}@host/d?{MASK}#z"),
        ("https://user:pa/ss@host/d", f"https://{MASK}@host/d"),
        ("https://user:pa?ss@host/d", f"https://{MASK}@host/d"),
        ("put https://host/d?signature=s to", f"put https://host/d?{MASK} to"),
        ("https://us@er:p@ss@host/d", f"https://{MASK}@host/d"),
        ("https://host/d@e", f"https://{MASK}@e"),  # what may be a password is one
        ("get ftp://u:p@a/b, then ftp://v:q@c/d", f"get ftp://{MASK}@a/b, then ftp://{MASK}@c/d"),
    ],
)
def test_credentials_of_a_url_are_masked(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    ("action", "payload", "shown"),
    [
        ("ChangeConfiguration", {"key": "AuthorizationKey", "value": "s"}, {"key": "AuthorizationKey", "value": MASK}),
        ("ChangeConfiguration", {"key": "authorizationkey ", "Value": ["s"]},
         {"key": "authorizationkey ", "Value": MASK}),
        ("ChangeConfiguration", {"key": "CpoName", "value": "Example"}, {"key": "CpoName", "value": "Example"}),
        ("GetConfiguration", {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": "s"}]},
         {"configurationKey": [{"key": "AuthorizationKey", "readonly": MASK, "value": MASK}]}),
        ("GetLog", {"log": {"remoteLocation": "ftp://u:s@h/d"}}, {"log": {"remoteLocation": f"ftp://{MASK}@h/d"}}),
        ("InstallCertificate", {"certificate": f"a {KEY} b"}, {"certificate": f"a {MASK} b"}),
        ("InstallCertificate", {"certificate": KEY[:-5]}, {"certificate": MASK}),
        ("DataTransfer", {"vendorId": "v", "data": "s"}, {"vendorId": "v", "data": MASK}),
        ("Reset", {"type": 5, "x": [None, True, 1.5]}, {"type": 5, "x": [None, True, 1.5]}),
    ],
)  # fmt: skip
def test_secrets_of_a_payload_are_masked(action: str, payload: dict[str, Any], shown: dict[str, Any]) -> None:
    before = repr(payload)
    assert redact_payload(action, payload) == shown
    assert repr(payload) == before


def test_a_frame_is_one_line_whatever_it_holds() -> None:
    lines = [
        redact_frame(Call("1\n", "Re\nset", {"a\n": "b\n"})),
        redact_frame(CallResult("1\n", {"a": "\n"}), "Reset"),
        redact_frame(CallError("1\n", "co\nde", "text\n"), "Reset"),
    ]
    assert all(line.isprintable() for line in lines)
    assert lines[2] == r"CALLERROR '1\n' Reset 'co\nde' 'text\n'"


def test_the_payload_of_an_answer_to_nothing_is_not_shown() -> None:
    assert redact_frame(CallResult("1", {"secret": "s"})) == f"CALLRESULT '1'  {MASK}"
