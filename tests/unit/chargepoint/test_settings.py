"""config.toml: what is good is read with all its defaults, what is wrong is named, all of it and without a secret."""

import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from chargepoint.setting import SECONDS, Description
from chargepoint.settings import Mistake, Settings, SettingsError, describe_all, load
from chargepoint.simulation.pki import Pki

SHIPPED = Path(__file__).parents[3] / "config.toml"
KEY = "00112233445566778899aabbccddeeff"
GOOD = {
    "charge_point": {
        "identity": '"CP001"',
        "vendor": '"Example Vendor"',
        "model": '"Example Model"',
        "serial_number": '"SN-0001"',
    },
    "central_system": {"url": '"ws://127.0.0.1:8080/ocpp"'},
    "state": {"directory": '"state"'},
}

Load = Callable[..., Settings]
Judge = Callable[..., list[Mistake]]


def _text(**changes: object) -> str:
    """Return a good document with changes: ``table__key="toml"``, None takes the key away."""
    tables = {name: dict(keys) for name, keys in GOOD.items()}
    for name, value in changes.items():
        table, _, key = name.partition("__")
        if value is None:
            del tables[table][key]
        else:
            tables.setdefault(table, {})[key] = str(value)
    return "".join(
        f"[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) for table, keys in tables.items()
    )


@pytest.fixture
def read(tmp_path: Path) -> Load:
    def read(text: str | None = None, **changes: object) -> Settings:
        path = tmp_path / "config.toml"
        path.write_text(_text(**changes) if text is None else text, encoding="utf-8")
        path.chmod(0o600)
        return load(path)

    return read


@pytest.fixture
def judge(read: Load) -> Judge:
    def judge(text: str | None = None, **changes: object) -> list[Mistake]:
        with pytest.raises(SettingsError) as caught:
            read(text, **changes)
        return list(caught.value.mistakes)

    return judge


def test_the_shipped_file_loads() -> None:
    settings = load(SHIPPED)
    assert settings.charge_point.identity == "CP001"
    assert settings.state.directory == Path("/var/lib/chargepoint")


@pytest.mark.parametrize("each", list(describe_all()), ids=lambda each: f"{each.table}.{each.key}")
def test_the_shipped_file_shows_every_key_with_its_default_and_bounds(each: Description) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    _, _, after = text.partition(f"\n[{each.table}]")
    table = re.split(r"^\[(?!\w+\.)", after, flags=re.MULTILINE)[0]
    if each.key in {"urls", "options"}:
        assert f"[{each.table}.{each.key}]" in table
        return
    comment = re.search(rf"^(?:# )?{each.key} = (\"[^\"]*\"|\S+)\s+#((?:.*)(?:\n\s+#.*)*)", table, re.MULTILINE)
    assert comment, f"{each.key} is not in the shipped file"
    value, words = comment.groups()
    if each.default and "no default" not in words and each.default != '""':
        assert tomllib.loads(f"x = {value}") == tomllib.loads(f"x = {each.default}")
    if each.high is not None:
        assert f"{each.high:.10g}" in words


def test_every_number_and_duration_has_bounds_and_every_key_a_reason() -> None:
    for each in describe_all():
        assert each.why
        if each.unit in SECONDS or each.default.replace(".", "").isdigit():
            assert each.low is not None
            assert each.high is not None


def test_a_key_that_is_commented_out_in_the_shipped_file_can_be_uncommented(read: Load) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    text = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    text = text.replace("0011223344...", KEY)
    text = re.sub(r"^(certificate|private_key|proxy) = .*$", "", text, flags=re.MULTILINE)
    assert read(text).session.boot_retry == timedelta(seconds=60)


def test_defaults_hold_where_the_file_is_silent(read: Load, tmp_path: Path) -> None:
    settings = read()
    assert settings.charge_point.connectors == 1
    assert settings.charge_point.firmware_version is None
    assert settings.central_system.urls == {}
    assert settings.connection.open_timeout == timedelta(seconds=20)
    assert settings.logs.security_log_max_age == timedelta(days=365)
    assert settings.configuration == {}
    assert settings.path == tmp_path / "config.toml"
    assert settings.warnings == ()


def test_paths_count_from_the_file_and_the_socket_from_the_state(
    read: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    settings = read()
    assert settings.state.directory == tmp_path / "state"
    assert settings.control.socket == tmp_path / "state" / "control.sock"
    assert read(control__socket='"/run/cp.sock"').control.socket == Path("/run/cp.sock")
    assert read(control__socket='""').control.socket is None


def test_configuration_is_turned_into_the_text_of_ocpp(read: Load) -> None:
    settings = read(
        configuration__securityprofile=0,
        configuration__AdditionalRootCertificateCheck="true",
        configuration__CpoName='"Example CPO"',
        configuration__CertificateStoreMaxLength=20,
    )
    assert settings.configuration == {
        "SecurityProfile": "0",
        "AdditionalRootCertificateCheck": "true",
        "CpoName": "Example CPO",
        "CertificateStoreMaxLength": "20",
    }


def test_an_address_of_a_profile_is_read_by_its_number(read: Load) -> None:
    text = _text() + '[central_system.urls]\n1 = "ws://10.0.0.1/ocpp"\n2 = "wss://cs.example.com:8443/ocpp"\n'
    assert read(text).central_system.urls == {1: "ws://10.0.0.1/ocpp", 2: "wss://cs.example.com:8443/ocpp"}


def test_options_of_a_driver_pass_unread(read: Load) -> None:
    text = _text() + '[hardware.options]\nport = "/dev/ttyS1"\nbaud = 9600\n'
    assert read(text).hardware.options == {"port": "/dev/ttyS1", "baud": 9600}


def test_a_mistake_is_one_line_of_file_table_key_value_and_reason(judge: Judge, tmp_path: Path) -> None:
    (mistake,) = judge(charge_point__identity='"CP:001"')
    assert str(mistake) == (
        f'{tmp_path}/config.toml: [charge_point] identity = "CP:001": '
        "must not hold a colon, which ends the user name in HTTP Basic authentication (A00.FR.204)"
    )


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        # BootNotification.req
        ({"charge_point__vendor": '"' + "x" * 21 + '"'}, "vendor", "at most 20 characters"),
        ({"charge_point__model": '"' + "x" * 21 + '"'}, "model", "at most 20 characters"),
        ({"charge_point__serial_number": '"' + "x" * 26 + '"'}, "serial_number", "at most 25 characters"),
        ({"charge_point__firmware_version": '"' + "x" * 51 + '"'}, "firmware_version", "at most 50 characters"),
        ({"charge_point__iccid": '"' + "x" * 21 + '"'}, "iccid", "at most 20 characters"),
        ({"charge_point__imsi": '"' + "x" * 21 + '"'}, "imsi", "at most 20 characters"),
        ({"charge_point__meter_type": '"' + "x" * 26 + '"'}, "meter_type", "at most 25 characters"),
        ({"charge_point__vendor": '""'}, "vendor", "not be empty"),
        ({"charge_point__vendor": '"a\\nb"'}, "vendor", "control characters"),
        # who it is
        ({"charge_point__identity": None}, "identity", "required"),
        ({"charge_point__identity": '""'}, "identity", "not be empty"),
        ({"charge_point__identity": '"' + "x" * 49 + '"'}, "identity", "at most 48 characters"),
        ({"charge_point__identity": '"a\\u0007b"'}, "identity", "control characters"),
        # types and bounds
        ({"charge_point__connectors": '"2"'}, "connectors", "whole number, without quotes"),
        ({"charge_point__connectors": "true"}, "connectors", "whole number"),
        ({"charge_point__connectors": "1.0"}, "connectors", "whole number"),
        ({"charge_point__connectors": "0"}, "connectors", "1 to 64"),
        ({"charge_point__vendor": "5"}, "vendor", "text in quotes"),
        ({"state__directory": "[]"}, "directory", "text in quotes"),
        ({"state__directory": '""'}, "directory", "not be empty"),
        ({"connection__call_timeout_s": "nan"}, "call_timeout_s", "1 to 600 s"),
        ({"connection__call_timeout_s": "inf"}, "call_timeout_s", "1 to 600 s"),
        ({"connection__call_timeout_s": "1e999"}, "call_timeout_s", "1 to 600 s"),
        ({"connection__retry_jitter": "1.5"}, "retry_jitter", "0 to 1"),
        ({"connection__retry_first_s": "301"}, "retry_first_s", "above retry_max_s"),
        ({"connection__retry_max_s": "2"}, "retry_initial_s", "above retry_max_s"),
        ({"security__static_rsa": '"yes"'}, "static_rsa", "true or false"),
        ({"interop__unknown_properties": '"maybe"'}, "unknown_properties", '"refuse", "tolerate"'),
        ({"hardware__on_reboot": "1"}, "on_reboot", '"restart", "exit"'),
        ({"hardware__driver": '"acme"'}, "driver", "no installed package"),
        ({"hardware__options": "1"}, "options", "must be a table"),
        ({"control__group": '"no-such-group-here"'}, "group", "no such group"),
        ({"control__socket": '"' + "x" * 108 + '"'}, "socket", "at most 107"),
        ({"provisioning__central_system_roots": '"root.pem"'}, "central_system_roots", "array"),
        ({"provisioning__central_system_roots": "[1]"}, "central_system_roots", "entry 1: must be text"),
        # names
        ({"charge_point__identiy": '"x"'}, "identiy", "did you mean identity?"),
        ({"charge_point__zzz": '"x"'}, "zzz", "no such key"),
        ({"connection__open_timeout": "5"}, "open_timeout", "did you mean open_timeout_s?"),
        ({"charge_point__serial_number": '"10.0.0.1"'}, "serial_number", "look like an IP address"),
        # addresses
        ({"central_system__url": '"https://cs.example.com"'}, "url", "ws:// or wss://"),
        ({"central_system__tls_server_name": '"10.0.0.1"'}, "tls_server_name", "must be a name"),
        ({"connection__proxy": '"socks5://127.0.0.1"'}, "proxy", "http://"),
        ({"central_system__url": None}, "url", "required"),
        ({"central_system__url": '"wss://10.0.0.1/ocpp"'}, "url", "tls_server_name"),
        ({"central_system__url": '"wss://[::1]/ocpp"'}, "url", "tls_server_name"),
        ({"configuration__SecurityProfile": "2"}, "url", "wss"),
        ({"configuration__SecurityProfile": "3"}, "url", "wss"),
        # OCPP keys
        ({"configuration__CpoNam": '"x"'}, "CpoNam", "did you mean CpoName?"),
        ({"configuration__SecurityProfile": "4"}, "SecurityProfile", ""),
        ({"configuration__SecurityProfile": "1.5"}, "SecurityProfile", "a whole number, or text"),
        ({"configuration__CpoName": "[]"}, "CpoName", "a whole number, or text"),
        ({"configuration__CpoName": '"' + "x" * 65 + '"'}, "CpoName", ""),
        ({"configuration__HeartbeatInterval": "1" * 30}, "HeartbeatInterval", "a whole number, or text"),
    ],
)
def test_refuses(judge: Judge, change: dict[str, str | None], key: str, words: str) -> None:
    (mistake,) = judge(**change)
    (name,) = change
    assert mistake.key == key
    assert words in mistake.reason
    assert mistake.table == name.partition("__")[0] or key == "url"
    assert mistake.value


@pytest.mark.parametrize(
    "change",
    [
        {"charge_point__identity": '"' + "\u00e4" * 48 + '"'},
        {"charge_point__identity": '"a/b c%"'},
        {"charge_point__serial_number": '"1.2.3"'},
        {"charge_point__serial_number": '"2021/0042"'},
        {"charge_point__iccid": '""'},
        {"central_system__url": '"ws://[::1]:8080/ocpp/"'},
        {"central_system__url": '"WSS://b\u00fccher.example./"'},
        {"central_system__url": '"wss://10.0.0.1/"', "central_system__tls_server_name": '"cs.example.com"'},
        {"connection__proxy": '"http://user:pw@proxy:3128"'},
        {"connection__proxy": '"environment"'},
        {"connection__call_timeout_s": "0.15e1"},
        {"control__group": '""'},
        {"configuration__SupportedFeatureProfiles": '"Core"'},
    ],
)
def test_takes(read: Load, change: dict[str, str]) -> None:
    read(**change)


def test_names_all_that_is_wrong_not_only_the_first(judge: Judge) -> None:
    mistakes = judge(
        charge_point__identity=None,
        charge_point__serial_number='"10.0.0.1"',
        charge_point__connectors="0",
        central_system__url='"http://x"',
        nonsense__x="1",
        provisioning__manufacturer_roots='["gone.pem"]',
        configuration__CpoName="[]",
        connection__retry_max_s="4",
    )
    assert {(each.table, each.key) for each in mistakes} == {
        ("charge_point", "identity"),
        ("charge_point", "serial_number"),
        ("charge_point", "connectors"),
        ("central_system", "url"),
        ("nonsense", "-"),
        ("provisioning", "manufacturer_roots"),
        ("configuration", "CpoName"),
        ("connection", "retry_initial_s"),
    }


def test_an_unknown_table_or_a_key_outside_of_all_tables_is_named(judge: Judge) -> None:
    outside, twice, unknown = judge(
        "identity = 5\nstate = 1\n" + _text(state__directory=None, sate__x=1).replace("[state]\n", "")
    )[:3]
    assert (outside.table, outside.key) == ("-", "identity")
    assert (twice.table, twice.reason) == ("state", "must be a table that begins with [state]")
    assert "did you mean state?" in unknown.reason


def test_a_key_of_ocpp_that_stands_twice_in_other_letters_is_refused(judge: Judge) -> None:
    (mistake,) = judge(configuration__CpoName='"a"', configuration__cponame='"b"')
    assert "twice" in mistake.reason


def test_an_address_of_a_profile_must_fit_that_profile(judge: Judge) -> None:
    text = _text() + '[central_system.urls]\n1 = "wss://h"\n2 = "ws://h"\n3 = "wss://10.0.0.1"\n4 = "ws://h"\n0 = 5\n'
    assert [(each.table, each.key) for each in judge(text)] == [
        ("central_system.urls", "4"),
        ("central_system.urls", "0"),
        ("central_system.urls", "1"),
        ("central_system.urls", "2"),
        ("central_system.urls", "3"),
    ]


def test_the_configured_start_takes_the_address_of_its_profile(read: Load) -> None:
    text = _text(configuration__SecurityProfile=2) + '[central_system.urls]\n2 = "wss://cs.example.com/ocpp"\n'
    assert read(text).central_system.urls[2] == "wss://cs.example.com/ocpp"


@pytest.mark.parametrize(
    ("change", "table", "key"),
    [
        ({"configuration__AuthorizationKey": f'"{KEY}zz"'}, "configuration", "AuthorizationKey"),
        ({"configuration__AuthorizatonKey": f'"{KEY}"'}, "configuration", "AuthorizatonKey"),
        ({"configuration__Passphrase": '"a word"'}, "configuration", "Passphrase"),
        ({"charge_point__authorization_key": '"a word"'}, "charge_point", "authorization_key"),
        ({"charge_point__key": f'"{KEY}"'}, "charge_point", "key"),
        ({"central_system__url": f'"ws://user:{KEY}@h/x"'}, "central_system", "url"),
        ({"central_system__url": '"ws://user:a wo/rd word@h/x"'}, "central_system", "url"),
        ({"connection__proxy": '"ftp://user:a word@h"'}, "connection", "proxy"),
    ],
)
def test_a_mistake_shows_no_secret(judge: Judge, change: dict[str, str], table: str, key: str) -> None:
    (mistake,) = judge(**change)
    assert (mistake.table, mistake.key) == (table, key)
    assert "***" in mistake.value
    assert KEY not in str(mistake)
    assert "word" not in str(mistake).replace("password", "")


def test_settings_show_no_secret(read: Load) -> None:
    settings = read(configuration__AuthorizationKey=f'"{KEY}"', connection__proxy='"http://user:hidden@h"')
    assert KEY not in repr(settings)
    assert "hidden" not in repr(settings)


def test_the_files_of_the_provisioning_count_from_the_file(read: Load, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(Pki.create().root_pem)
    settings = read(provisioning__central_system_roots='["root.pem"]')
    assert settings.provisioning.central_system_roots == (tmp_path / "root.pem",)


def test_warns_of_a_private_key_that_others_may_read(read: Load, tmp_path: Path) -> None:
    issued = Pki.create().charge_point_certificate("SN-0001")
    (tmp_path / "cp.pem").write_bytes(issued.chain_pem)
    (tmp_path / "cp.key").write_bytes(issued.key_pem)
    (tmp_path / "cp.key").chmod(0o644)
    (warning,) = read(provisioning__certificate='"cp.pem"', provisioning__private_key='"cp.key"').warnings
    assert "chmod 600" in warning


def test_warns_of_a_trust_store_that_is_not_ours(read: Load) -> None:
    (warning,) = read(central_system__url='"wss://h"', interop__system_trust_store="true").warnings
    assert "system_trust_store" in warning


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_warns_of_a_file_with_a_password_that_others_may_read(
    read: Load, tmp_path: Path, mode: int, warned: bool
) -> None:
    assert not read(configuration__AuthorizationKey=f'"{KEY}"').warnings
    (tmp_path / "config.toml").chmod(mode)
    assert any("others may read it" in warning for warning in load(tmp_path / "config.toml").warnings) == warned
