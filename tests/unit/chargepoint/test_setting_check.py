"""The checks of single values: what is refused, why, and what is not refused though it looks odd."""

import pytest

from chargepoint.setting_check import (
    check_event_type,
    check_identity,
    check_proxy,
    check_serial_number,
    check_server_name,
    check_url,
)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://cs.example.com", "ws:// or wss://"),
        ("cs.example.com", "ws:// or wss://"),
        ("", "ws:// or wss://"),
        ("ws://", "names no host"),
        ("ws:///ocpp", "names no host"),
        ("ws://:80/x", "names no host"),
        ("ws://h:0/x", "port 0"),
        ("ws://h:99999/x", "not a URL"),
        ("ws://h:http/x", "not a URL"),
        ("ws://[::1/x", "not a URL"),
        ("ws://user:password@h/x", "user name or password"),
        ("ws://@h/x", "user name or password"),
        ("ws://h/x?y=1", "query or fragment"),
        ("ws://h/x?", "query or fragment"),
        ("ws://h/x#", "query or fragment"),
        ("ws://h/x y", "spaces"),
        ("ws://h/x\ty", "unprintable"),
        ("ws://h\n/x", "unprintable"),
        ("ws://h/\u00e4", "ASCII in its path"),
        ("ws://-h-/x", "not a valid name"),
        ("ws://a..b/x", "not a valid name"),
        ("ws://a\u00e4..b/x", "not a valid name"),
        ("ws://a%20b/x", "not a valid name"),
        ("ws://1.2.3.999/x", "not a valid name"),
        ("ws://" + "a" * 64 + ".de", "not a valid name"),
        ("ws://" + "a." * 130 + "de", "at most 253"),
        ("ws://h/" + "a" * 512, "at most 512"),
    ],
)
def test_refuses_an_address(url: str, words: str) -> None:
    assert words in (check_url(url) or "")


@pytest.mark.parametrize(
    "url",
    [
        "ws://localhost",
        "ws://localhost:8080/",
        "WSS://CS.Example.com./ocpp/",
        "wss://b\u00fccher.example/a%20b",
        "ws://10.0.0.1/x",
        "ws://[::1]:8080/x",
        "ws://my_host/x",
        "ws://cs/a@b:c",
    ],
)
def test_takes_an_address(url: str) -> None:
    assert check_url(url) is None


@pytest.mark.requirement("A00.FR.511")
@pytest.mark.parametrize(
    ("serial_number", "form"),
    [
        ("https://x.example", "URL"),
        ("WWW.example.com", "URL"),
        ("10.0.0.1", "IP address"),
        ("10.0.0.1:8080", "IP address"),
        ("fe80::1", "IP address"),
        ("[fe80::1]", "IP address"),
        ("[fe80::1]:80", "IP address"),
    ],
)
def test_refuses_a_serial_number_of_another_form(serial_number: str, form: str) -> None:
    assert f"look like {'an' if form.startswith('I') else 'a'} {form}" in (check_serial_number(serial_number) or "")


@pytest.mark.parametrize("serial_number", ["SN-0001", "1.2.3", "2021/0042", "A:B", "AA:BB:CC:DD:EE:FF", "12345"])
def test_takes_a_serial_number(serial_number: str) -> None:
    assert check_serial_number(serial_number) is None


@pytest.mark.requirement("A00.FR.204")
def test_refuses_an_identity_that_http_basic_could_not_carry() -> None:
    assert "colon" in (check_identity("CP:001") or "")
    assert check_identity("CP/001 \u00e4%") is None


@pytest.mark.parametrize("name", ["10.0.0.1", "::1", "a b", "", "*.example.com", "cs.example.com:443"])
def test_refuses_a_server_name(name: str) -> None:
    assert check_server_name(name)


def test_takes_a_server_name() -> None:
    assert check_server_name("cs.example.com") is None


@pytest.mark.parametrize("proxy", ["socks5://h", "h:3128", "http://", "http://h:x", "http://a b", "none"])
def test_refuses_a_proxy(proxy: str) -> None:
    assert check_proxy(proxy)


@pytest.mark.parametrize("proxy", ["", "environment", "http://user:password@proxy:3128", "https://proxy"])
def test_takes_a_proxy(proxy: str) -> None:
    assert check_proxy(proxy) is None


@pytest.mark.parametrize("event_type", ["InvalidMessages", "CabinetDoorOpened"])
def test_takes_an_event_type(event_type: str) -> None:
    assert check_event_type(event_type) is None


def test_corrects_the_spelling_of_an_event_type() -> None:
    assert check_event_type("invalidmessages") == "is spelt InvalidMessages in section 8 of the white paper"
