import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargepoint.configuration_key import MAX_NAME_CHARACTERS, Access, Key, Kind
from chargepoint.configuration_table import KEYS, keys_of

CORE = [
    "AllowOfflineTxForUnknownId",
    "AuthorizationCacheEnabled",
    "AuthorizeRemoteTxRequests",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "ConnectorPhaseRotationMaxLength",
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MaxEnergyOnInvalidId",
    "MeterValuesAlignedData",
    "MeterValuesAlignedDataMaxLength",
    "MeterValuesSampledData",
    "MeterValuesSampledDataMaxLength",
    "MeterValueSampleInterval",
    "MinimumStatusDuration",
    "NumberOfConnectors",
    "ResetRetries",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnAlignedData",
    "StopTxnAlignedDataMaxLength",
    "StopTxnSampledData",
    "StopTxnSampledDataMaxLength",
    "SupportedFeatureProfiles",
    "SupportedFeatureProfilesMaxLength",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
    "WebSocketPingInterval",
]
SECTION_7 = [
    "AdditionalRootCertificateCheck",
    "AuthorizationKey",
    "CertificateSignedMaxChainSize",
    "CertificateStoreMaxLength",
    "CpoName",
    "SecurityProfile",
]
NEIGHBOURS = ["AllowCentralSystemTLSWildcards", "ReserveConnectorZeroSupported", "SupportedFileTransferProtocols"]


def test_every_key_of_core_and_of_section_7_is_there() -> None:
    assert sorted(KEYS) == sorted([*CORE, *SECTION_7, *NEIGHBOURS])


def test_keys_that_promise_what_this_hardware_has_not_are_absent() -> None:
    assert not {"BlinkRepeat", "LightIntensity", "LocalAuthListEnabled", "ChargeProfileMaxStackLevel"} & KEYS.keys()


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_every_row_of_the_table_is_sound(key: Key) -> None:
    assert len(key.name) <= MAX_NAME_CHARACTERS
    assert key.meaning
    assert key.default is None or (key.check(key.default) is None and key.canonical(key.default) == key.default)
    assert key.max_members_key is None or KEYS[key.max_members_key].access is Access.READ


@pytest.mark.parametrize(
    ("name", "access"),
    [
        ("AdditionalRootCertificateCheck", Access.READ),
        ("AuthorizationKey", Access.WRITE),
        ("CertificateSignedMaxChainSize", Access.READ),
        ("CertificateStoreMaxLength", Access.READ),
        ("CpoName", Access.READ_WRITE),
        ("SecurityProfile", Access.READ_WRITE),
        ("NumberOfConnectors", Access.READ),
        ("SupportedFileTransferProtocols", Access.READ),
    ],
)
def test_access_is_what_the_standard_says(name: str, access: Access) -> None:
    assert KEYS[name].access is access


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("AuthorizeRemoteTxRequests", "TRUE", "true"),
        ("AuthorizeRemoteTxRequests", "False", "false"),
        ("HeartbeatInterval", "0060", "60"),
        ("WebSocketPingInterval", "0", "0"),
        ("CertificateSignedMaxChainSize", "10000", "10000"),
        ("CpoName", "x" * 64, "x" * 64),
        ("CpoName", "Ladestrom Zürich, Inc.", "Ladestrom Zürich, Inc."),
        ("AuthorizationKey", "4F43415F4F4354545F61646D696E5F74657374", "4F43415F4F4354545F61646D696E5F74657374"),
        ("AuthorizationKey", "aB" * 16, "aB" * 16),
        ("AuthorizationKey", "00" * 20, "00" * 20),
        ("MeterValuesSampledData", "", ""),
        ("MeterValuesSampledData", "Voltage.L1, SoC,Voltage.l1", "Voltage.L1,SoC"),
        ("MeterValuesSampledData", "energy.active.import.register", "Energy.Active.Import.Register"),
        ("ConnectorPhaseRotation", "0.RST,1.RTS", "0.RST,1.RTS"),
        ("ConnectorPhaseRotation", "notapplicable", "NotApplicable"),
        ("SupportedFeatureProfiles", "Core,SmartCharging", "Core,SmartCharging"),
    ],
)
def test_takes_a_value_and_keeps_it_in_one_form(name: str, value: str, kept: str) -> None:
    assert KEYS[name].check(value) is None
    assert KEYS[name].canonical(value) == kept


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("AuthorizeRemoteTxRequests", "1", "true or false"),
        ("HeartbeatInterval", "-1", "without a sign"),
        ("HeartbeatInterval", "+1", "without a sign"),
        ("HeartbeatInterval", "1.5", "whole number"),
        ("HeartbeatInterval", "", "whole number"),
        ("HeartbeatInterval", "٣", "whole number"),
        ("HeartbeatInterval", "60\n", "whole number"),
        ("HeartbeatInterval", "9999999999", "from 0 to 2147483647"),
        ("WebSocketPingInterval", "-5", "without a sign"),
        ("SecurityProfile", "4", "from 0 to 3"),
        ("SecurityProfile", "two", "whole number"),
        ("CertificateSignedMaxChainSize", "10001", "from 1 to 10000"),
        ("CpoName", "x" * 65, "at most 64 characters"),
        ("CpoName", "two\nlines", "control characters"),
        ("CpoName", "x" * 501, "at most 500 characters"),
        ("AuthorizationKey", "ab" * 15, "32 to 40 hex digits"),
        ("AuthorizationKey", "ab" * 21, "32 to 40 hex digits"),
        ("AuthorizationKey", "a" * 33, "even number"),
        ("AuthorizationKey", "zz" * 16, "even number of hex digits"),
        ("AuthorizationKey", "ab" * 16 + "\n", "even number of hex digits"),
        ("AuthorizationKey", "", "32 to 40 hex digits"),
        ("MeterValuesSampledData", "SoC,Mood", "item 2 of the list is not a measurand"),
        ("MeterValuesSampledData", "SoC,", "item 2 of the list is not a measurand"),
        ("MeterValuesSampledData", "Voltage.L4", "item 1"),
        ("ConnectorPhaseRotation", "1.XYZ", "item 1 of the list is not one of NotApplicable"),
        ("ConnectorPhaseRotation", "01.RST", "item 1"),
        ("SupportedFeatureProfiles", "Core,Chat", "item 2 of the list is not one of Core"),
    ],
)
def test_refuses_a_value_and_says_why(name: str, value: str, reason: str) -> None:
    assert reason in str(KEYS[name].check(value))


def test_an_integer_may_be_allowed_a_sign() -> None:
    key = Key("Offset", Kind.INTEGER, Access.READ_WRITE, "0", "anything", minimum=-5, maximum=5)
    assert (key.check("-5"), key.canonical("-5")) == (None, "-5")
    assert key.check("-6") == "must be from -5 to 5"
    assert key.check("--1") == "must be a whole number"


@given(st.sampled_from(sorted(KEYS)), st.text(max_size=60))
def test_a_value_that_is_kept_is_taken_again_and_stays_the_same(name: str, value: str) -> None:
    key = KEYS[name]
    if key.check(value) is None:
        kept = key.canonical(value)
        assert key.check(kept) is None
        assert key.canonical(kept) == kept


@given(st.text(max_size=600))
def test_no_reason_repeats_a_password_that_was_refused(value: str) -> None:
    reason = KEYS["AuthorizationKey"].check(value)
    assert reason is None or len(value) < 8 or value not in reason


@pytest.mark.parametrize("text", ["sixteen letters!", "twenty letters: so!!", "zwölf Zeichen: ü"])
def test_a_plain_text_is_a_secret_only_where_that_is_tolerated(text: str) -> None:
    strict, tolerant = (keys_of(text_passwords=tolerated)["AuthorizationKey"] for tolerated in (False, True))
    assert strict.check(text) is not None
    assert tolerant.check(text) is None
    assert tolerant.canonical(text) == text.encode().hex()


@pytest.mark.parametrize("value", ["ab" * 16, "aB" * 20])
def test_hex_stays_hex_where_a_text_is_tolerated(value: str) -> None:
    assert keys_of(text_passwords=True)["AuthorizationKey"].canonical(value) == value


@pytest.mark.parametrize("value", ["fifteen letters", "twenty-one letters it", "sixteen letters\n", "zz" * 16])
def test_a_text_of_another_length_is_no_secret(value: str) -> None:
    assert keys_of(text_passwords=True)["AuthorizationKey"].check(value) is not None
