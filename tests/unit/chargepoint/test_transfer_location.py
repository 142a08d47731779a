"""The URLs that a Central System may name: what gets through, what is refused, and what may be told of them."""

from urllib.parse import quote

import pytest

from chargepoint.transfer_fault import Family, TransferFailed, TransferFault
from chargepoint.transfer_location import MAX_LOCATION_CHARACTERS, Location
from security.secret import Secret

PASSWORD = "p:a/s@s%40 wörd?#"


def refusal(text: str) -> TransferFailed:
    with pytest.raises(TransferFailed) as caught:
        Location.parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "protocol", "family", "is_secured"),
    [
        ("http://h/x", "HTTP", Family.HTTP, False),
        ("HTTPS://h/x", "HTTPS", Family.HTTP, True),
        ("ftp://h/x", "FTP", Family.FTP, False),
        ("ftps://h/x", "FTPS", Family.FTP, True),
        ("ftpes://h/x", "FTPS", Family.FTP, True),
        ("sftp://h/x", "SFTP", Family.SFTP, True),
    ],
)
def test_six_schemes_get_through(text: str, protocol: str, family: Family, *, is_secured: bool) -> None:
    location = Location.parse(text)
    assert (location.protocol, location.family, location.is_secured) == (protocol, family, is_secured)


@pytest.mark.parametrize(
    "text", ["file:///etc/passwd", "gopher://h/x", "tftp://h/x", "scp://h/x", "smb://h/x", "mailto:a@b", "x:y"]
)
def test_no_other_scheme_does(text: str) -> None:
    assert refusal(text).fault is TransferFault.UNSUPPORTED_SCHEME


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h/x",
        "/etc/passwd",
        "http:h/x",
        "http:///x",
        "http://h:99999/x",
        "http://h:port/x",
        "http://h:0/x",
        "http://[::1/x",
        "http://-h-/x",
        "http://h /x",
        "http://h/x\r\nHost: other",
        "http://h/%zz",
        "http://h/?%z",
        "http://h/x#part",
        "http://us%er@h/",
        "ftp://user%0d%0aDELE%20x@h/y",
        "ftp://user:pass%00word@h/y",
        "ftp://h/x%0D%0ADELE%20y",
        "sftp://h/x%00",
        "ftp://h/%7F",
        "http://h/" + "x" * MAX_LOCATION_CHARACTERS,
    ],
)
def test_what_is_no_usable_url_is_refused_in_words_that_do_not_repeat_it(text: str) -> None:
    failed = refusal(text)
    assert failed.fault is TransferFault.BAD_URL
    assert not failed.worth_retrying
    assert "DELE" not in str(failed)


def test_a_control_character_in_the_path_of_http_stays_encoded() -> None:
    assert Location.parse("http://h/x%0D%0Ay").url() == "http://h/x%0D%0Ay"


def test_credentials_are_decoded_and_kept_apart() -> None:
    location = Location.parse(f"ftp://us%40er:{quote(PASSWORD, safe='')}@h:2121/x")
    assert location.user == Secret(b"us@er")
    assert location.password == Secret(PASSWORD.encode())
    assert location.url() == "ftp://h:2121/x"


@pytest.mark.parametrize("userinfo", ["user@", "user:@", ":pw@"])
def test_a_part_of_the_credentials_may_be_missing(userinfo: str) -> None:
    location = Location.parse(f"ftp://{userinfo}h/x")
    assert (location.user or location.password) is not None
    assert str(location) == "ftp://***@h/x"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://Host.Example", "http://host.example/"),
        ("http://h:8080/a b".replace(" ", "%20"), "http://h:8080/a%20b"),
        ("http://h/a?b=c&d=%2F", "http://h/a?b=c&d=%2F"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("ftp://h/a?b", "ftp://h/a%3Fb"),
        ("ftp://h//abs", "ftp://h//abs"),
    ],
)
def test_the_url_for_libcurl_is_ascii_and_without_credentials(text: str, url: str) -> None:
    assert Location.parse(text).url() == url


def test_libcurl_may_be_told_another_scheme_and_port() -> None:
    assert Location.parse("ftpes://h/x").url("ftp", 2121) == "ftp://h:2121/x"


@pytest.mark.parametrize(
    ("text", "is_directory", "url"),
    [
        ("ftp://h", True, "ftp://h/a%2Fb%20c"),
        ("ftp://h/", True, "ftp://h/a%2Fb%20c"),
        ("http://h/logs/?token=1", True, "http://h/logs/a%2Fb%20c?token=1"),
        ("http://h/logs", False, "http://h/logs/a%2Fb%20c"),
    ],
)
def test_a_location_that_ends_in_a_slash_names_a_directory(text: str, url: str, *, is_directory: bool) -> None:
    location = Location.parse(text)
    assert location.names_directory is is_directory
    assert location.with_file("a/b c").url() == url


def test_nothing_secret_is_shown() -> None:
    location = Location.parse(f"https://us%40er:{quote(PASSWORD, safe='')}@h/logs/?signature=5ecret")
    shown = f"{location} {location!r}"
    for secret in (PASSWORD, quote(PASSWORD, safe=""), "us@er", "us%40er", "5ecret"):
        assert secret not in shown
    assert str(location) == "https://***@h/logs/?***"
    assert str(Location.parse("ftp://h/logs/?signature=5ecret")) == "ftp://h/logs/?***"
    assert str(Location.parse("ftp://u:12/34@h/logs/")) == "ftp://***@h/logs/"


@pytest.mark.parametrize("form", [PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), "us@er", "signature=5ecret"])
def test_a_text_of_others_is_scrubbed(form: str) -> None:
    location = Location.parse(f"https://us%40er:{quote(PASSWORD, safe='')}@h/?signature=5ecret")
    assert location.scrub(f"cannot do <{form}> there") == "cannot do <***> there"
    assert Location.parse("https://h/").scrub("as it is") == "as it is"
