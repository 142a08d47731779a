import pytest

from security.profile import SecurityProfile, missing_pieces, missing_prerequisite, url_fits, url_for

UNSECURED, BASIC, TLS_BASIC, TLS_CERTIFICATE = SecurityProfile
NOTHING = {"has_password": False, "has_root": False, "has_certificate": False}
EVERYTHING = {"has_password": True, "has_root": True, "has_certificate": True}


@pytest.mark.parametrize(
    ("profile", "needs_tls", "sends_basic", "presents_certificate"),
    [
        (UNSECURED, False, False, False),
        (BASIC, False, True, False),
        (TLS_BASIC, True, True, False),
        (TLS_CERTIFICATE, True, False, True),
    ],
)
def test_a_profile_says_what_it_is_made_of(
    profile: SecurityProfile, needs_tls: bool, sends_basic: bool, presents_certificate: bool
) -> None:
    assert (profile.needs_tls, profile.sends_basic, profile.presents_certificate) == (
        needs_tls,
        sends_basic,
        presents_certificate,
    )


@pytest.mark.parametrize(
    ("profile", "lacking", "word"),
    [
        (BASIC, "has_password", "AuthorizationKey"),
        (TLS_BASIC, "has_password", "AuthorizationKey"),
        (TLS_BASIC, "has_root", "CentralSystemRootCertificate"),
        (TLS_CERTIFICATE, "has_root", "CentralSystemRootCertificate"),
        (TLS_CERTIFICATE, "has_certificate", "Charge Point certificate"),
    ],
)
def test_names_the_missing_piece(profile: SecurityProfile, lacking: str, word: str) -> None:
    (piece,) = missing_pieces(profile, **(EVERYTHING | {lacking: False}))
    assert word in piece


@pytest.mark.parametrize(
    ("profile", "unneeded"),
    [
        (UNSECURED, NOTHING),
        (BASIC, NOTHING | {"has_password": True}),
        (TLS_BASIC, EVERYTHING | {"has_certificate": False}),
        (TLS_CERTIFICATE, EVERYTHING | {"has_password": False}),
    ],
)
def test_asks_for_no_more_than_the_profile_needs(profile: SecurityProfile, unneeded: dict[str, bool]) -> None:
    assert not list(missing_pieces(profile, **unneeded))


@pytest.mark.parametrize("current", SecurityProfile)
@pytest.mark.parametrize("target", SecurityProfile)
def test_only_a_higher_profile_is_an_upgrade(current: SecurityProfile, target: SecurityProfile) -> None:
    reason = missing_prerequisite(target, current=current, **EVERYTHING)
    assert (reason is None) == (target > current)


def test_an_upgrade_needs_its_pieces() -> None:
    assert missing_prerequisite(TLS_CERTIFICATE, current=BASIC, **NOTHING) is not None


@pytest.mark.parametrize(
    ("profile", "url"),
    [
        (UNSECURED, "ws://localhost/ocpp"),
        (UNSECURED, "wss://localhost"),
        (BASIC, "ws://10.0.0.1:8080/a/b/"),
        (TLS_BASIC, "wss://cs.example.com:8443/ocpp"),
        (TLS_CERTIFICATE, "wss://[fe80::1]/ocpp"),
    ],
)
def test_a_url_fits(profile: SecurityProfile, url: str) -> None:
    assert url_fits(profile, url) is None


@pytest.mark.parametrize(
    ("profile", "url", "word"),
    [
        (BASIC, "wss://localhost/", "ws://"),
        (TLS_BASIC, "ws://localhost/", "wss://"),
        (TLS_CERTIFICATE, "ws://localhost/", "wss://"),
        (UNSECURED, "http://localhost/", "begins with"),
        (UNSECURED, "localhost", "begins with"),
        (UNSECURED, "ws:///ocpp", "host"),
        (UNSECURED, "ws://localhost:0/", "host"),
        (UNSECURED, "ws://localhost:99999/", "not a URL"),
        (UNSECURED, "ws://[::1/", "not a URL"),
        (UNSECURED, "ws://CP001:secret@localhost/", "credentials"),
        (UNSECURED, "ws://localhost/?", "path"),
        (UNSECURED, "ws://localhost/ocpp?tenant=1", "path"),
        (UNSECURED, "ws://localhost/#", "path"),
    ],
)
def test_a_url_does_not_fit(profile: SecurityProfile, url: str, word: str) -> None:
    reason = url_fits(profile, url)
    assert reason is not None
    assert word in reason
    assert "secret" not in reason


@pytest.mark.parametrize(
    ("profile", "url", "expected"),
    [
        (TLS_BASIC, "ws://localhost/ocpp", "wss://localhost/ocpp"),
        (TLS_BASIC, "ws://localhost:80/ocpp", "wss://localhost/ocpp"),
        (TLS_CERTIFICATE, "ws://localhost:8080/ocpp", "wss://localhost:8080/ocpp"),
        (BASIC, "wss://[::1]:443/ocpp", "ws://[::1]/ocpp"),
        (UNSECURED, "wss://localhost/ocpp", "wss://localhost/ocpp"),
        (TLS_BASIC, "wss://localhost:443/ocpp", "wss://localhost:443/ocpp"),
    ],
)
def test_the_address_after_an_upgrade(profile: SecurityProfile, url: str, expected: str) -> None:
    assert url_for(profile, url, {}) == expected


def test_a_profile_may_have_an_address_of_its_own() -> None:
    urls = {2: "wss://cs.example.com:8443/ocpp"}
    assert url_for(TLS_BASIC, "ws://10.0.0.1/ocpp", urls) == "wss://cs.example.com:8443/ocpp"
