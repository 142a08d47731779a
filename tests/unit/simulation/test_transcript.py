"""The lines are readable and hold no secret."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chargepoint.simulation import transcript
from chargepoint.simulation.finding import Finding, Rule
from chargepoint.simulation.frame import Call, CallError, CallResult, Frame, render
from chargepoint.simulation.recorder import Entry, FrameEntry, Gone, Refusal, Upgrade
from chargepoint.simulation.wire import TlsFacts
from tests.bare_charge_point import PASSWORD, basic

AT: dict[str, Any] = {
    "connection": 1,
    "identity": "CP001",
    "at": datetime(2026, 1, 1, 12, tzinfo=UTC),
    "monotonic": 0.0,
}


def line(frame: Frame, direction: Any = "sent", action: str = "") -> str:
    return transcript.line(
        FrameEntry(direction=direction, data=render(frame), frame=frame, action=action, **AT), [PASSWORD]
    )


def test_messages_are_named_by_action_and_kind() -> None:
    assert line(Call("1", "Reset", {"type": "Hard"})) == '12:00:00  CP001  <-- Reset.req {"type": "Hard"}'
    assert line(CallResult("1", {}), "received", "Reset") == "12:00:00  CP001  --> Reset.conf {}"
    assert (
        line(CallError("1", "GenericError", "no"), "received") == '12:00:00  CP001  --> CALLERROR GenericError "no" {}'
    )


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Gone(code=1006, reason="", **AT), "==  gone (1006 )"),
        (Refusal(stage="tls", reason="why", **AT), "=/= refused at TLS: why"),
        (Refusal(stage="http", reason="why", status=401, **AT), "=/= refused at HTTP with status 401: why"),
        (
            Upgrade(
                profile=3,
                target="/",
                headers=tuple(basic(PASSWORD).items()),
                subprotocol=None,
                tls=TlsFacts("TLSv1.3", "SUITE", None, None),
                **AT,
            ),
            "==  connected in security profile 3, TLSv1.3 SUITE",
        ),
        (FrameEntry(direction="received", data=b"abc", **AT), "--> 3 bytes that are no frame"),
    ],
)
def test_other_entries(entry: Entry, text: str) -> None:
    assert transcript.line(entry) == f"12:00:00  CP001  {text}"


def test_a_finding_stands_out() -> None:
    finding = Finding(Rule.FRAME, "why", "CP001", 1, AT["at"])
    assert transcript.line(finding) == "12:00:00  !! CP001: not an OCPP-J frame (why)"


@pytest.mark.parametrize(
    "frame",
    [
        Call("1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "not-known-to-anybody"}),
        CallResult("1", {"configurationKey": [{"key": "AuthorizationKey", "value": "not-known-to-anybody"}]}),
        Call("1", "GetLog", {"log": {"remoteLocation": "ftp://user:not-known-to-anybody@host/"}}),
        Call("1", "DataTransfer", {"data": PASSWORD.hex().upper()}),
        CallError("1", "GenericError", f"bad {PASSWORD.hex()}"),
        CallError("1", "GenericError", "", {"header": basic(PASSWORD, user="")["Authorization"][:20]}),
    ],
)
def test_secrets_are_masked(frame: Frame) -> None:
    text = line(frame)
    assert "not-known" not in text
    assert PASSWORD.hex() not in text.lower()


def test_a_password_of_text_is_masked_raw_and_in_base64() -> None:
    password = b"correct horse 16"
    entry = FrameEntry(direction="sent", data="", frame=CallError("1", "GenericError", "correct horse 16 it is"), **AT)
    assert "horse" not in transcript.line(entry, [password])
    entry = FrameEntry(direction="sent", data="", frame=CallError("1", "X", "Y29ycmVjdCBob3JzZSAxNg=="), **AT)
    assert "Y29y" not in transcript.line(entry, [password])


def test_certificates_and_long_payloads_are_shortened() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert line(Call("1", "CertificateSigned", {"certificateChain": pem})).endswith(
        'CertificateSigned.req {"certificateChain": "<certificate, 59 characters>"}'
    )
    assert len(line(Call("1", "DataTransfer", {"data": "x" * 10_000}))) < 500


def test_a_line_is_one_line() -> None:
    assert "\n" not in line(CallError("1", "GenericError", "a\nb"))
    finding = Finding(Rule.FRAME, "a\nb\x1b[31m", "CP\n1", 1, AT["at"])
    assert transcript.line(finding).isprintable()
