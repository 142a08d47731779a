import pytest

from security.server_name import is_ip_address, name_matches


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("cs.example.com", "cs.example.com"),
        ("CS.Example.Com", "cs.example.com"),
        ("cs.example.com", "CS.EXAMPLE.COM"),
        ("cs.example.com.", "cs.example.com"),
        ("cs.example.com", "cs.example.com."),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "b\u00fccher.example"),
        ("XN--BCHER-KVA.example", "B\u00dcCHER.example"),
        ("localhost", "localhost"),
        ("charge_point.example", "charge_point.example"),
    ],
)
def test_the_same_name_matches(name: str, host: str) -> None:
    assert name_matches([name], host, allow_wildcards=False)


def test_one_name_of_several_is_enough() -> None:
    assert name_matches(["other.example", "cs.example.com"], "cs.example.com", allow_wildcards=False)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("cs.example.com", "cs.example.org"),
        ("example.com", "cs.example.com"),
        ("cs.example.com", "example.com"),
        ("cs.example.com.evil.org", "cs.example.com"),
        ("cs.example.com\x00.evil.org", "cs.example.com"),
        (" cs.example.com", "cs.example.com"),
        ("", "cs.example.com"),
        ("", ""),
        (".", "."),
        ("\u00fc" * 70 + ".example", "cs.example.com"),
        ("b\u00fc..cher", "b\u00fc..cher"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("::1", "[::1]"),
    ],
)
@pytest.mark.parametrize("allow_wildcards", [False, True])
def test_another_name_does_not_match(name: str, host: str, allow_wildcards: bool) -> None:
    assert not name_matches([name], host, allow_wildcards=allow_wildcards)


def test_a_certificate_without_a_name_does_not_match() -> None:
    assert not name_matches([], "cs.example.com", allow_wildcards=True)


def test_a_wildcard_matches_only_where_it_is_allowed() -> None:
    assert not name_matches(["*.example.com"], "cs.example.com", allow_wildcards=False)
    assert name_matches(["*.example.com"], "cs.example.com", allow_wildcards=True)
    assert name_matches(["*.B\u00fccher.example"], "CS.xn--bcher-kva.example.", allow_wildcards=True)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("*.example.com", "example.com"),
        ("*.example.com", "a.b.example.com"),
        ("*.com", "example.com"),
        ("*.", "com"),
        ("*", "com"),
        ("c*.example.com", "cs.example.com"),
        ("cs.*.com", "cs.example.com"),
        ("*.*.com", "cs.example.com"),
        ("*.0.0.1", "10.0.0.1"),
    ],
)
def test_a_wildcard_stands_for_one_whole_label_only(name: str, host: str) -> None:
    assert not name_matches([name], host, allow_wildcards=True)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("10.0.0.1", True), ("::1", True), ("[::1]", True), ("cs.example.com", False), ("", False)],
)
def test_tells_an_address_from_a_name(host: str, expected: bool) -> None:
    assert is_ip_address(host) is expected
