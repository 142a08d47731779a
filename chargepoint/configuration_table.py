"""The configuration keys that this Charge Point knows, in the order in which GetConfiguration.conf lists them.

They are those of OCPP 1.6 section 9.1 (Core), those of section 7 of the white paper, and a few of their neighbours. A
key whose effect another part of the agent brings is stored and validated all the same.

Absent on purpose: BlinkRepeat and LightIntensity, because there is no lighting behind the hardware port, and a key
that is present promises its effect (OCPP 1.6 section 9); the keys of the profiles LocalAuthListManagement and
SmartCharging, because these are not supported.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from chargepoint.configuration_key import MAX_INTEGER, Access, Effect, Key, Kind

MAX_CPO_NAME_CHARACTERS: Final = 64  #: characters; O of a certificate's subject, RFC 5280 ub-organization-name
MAX_CHAIN_CHARACTERS: Final = 10_000  #: characters; white paper 7.3, and the field of CertificateSigned.req
MAX_STORE_LENGTH: Final = 1_000  #: count; root certificates: more would not fit into GetInstalledCertificateIds.conf

MEASURANDS: Final = (
    "Current.Export", "Current.Import", "Current.Offered", "Energy.Active.Export.Register",
    "Energy.Active.Import.Register", "Energy.Reactive.Export.Register", "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval", "Energy.Active.Import.Interval", "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval", "Frequency", "Power.Active.Export", "Power.Active.Import", "Power.Factor",
    "Power.Offered", "Power.Reactive.Export", "Power.Reactive.Import", "RPM", "SoC", "Temperature", "Voltage",
)  # fmt: skip
PHASES: Final = ("L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1")
ROTATIONS: Final = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")
PROFILES: Final = (
    "Core", "FirmwareManagement", "LocalAuthListManagement", "RemoteTrigger", "Reservation", "SmartCharging",
)  # fmt: skip
TRANSFER_PROTOCOLS: Final = ("FTP", "FTPS", "HTTP", "HTTPS", "SFTP")
ENERGY: Final = "Energy.Active.Import.Register"


def _flag(name: str, default: str, meaning: str) -> Key:
    return Key(name, Kind.BOOLEAN, Access.READ_WRITE, default, meaning)


def _number(name: str, default: str, meaning: str, minimum: int = 0) -> Key:
    return Key(name, Kind.INTEGER, Access.READ_WRITE, default, meaning, minimum=minimum)


def _limit(name: str, default: str, meaning: str, minimum: int = 0, maximum: int = MAX_INTEGER) -> Key:
    return Key(name, Kind.INTEGER, Access.READ, default, meaning, minimum=minimum, maximum=maximum)


def _measurands(name: str, default: str, meaning: str) -> Key:
    # OCPP 1.6 section 9.1.17: where it applies, a measurand is combined with a phase, for instance Voltage.L1.
    members = (*MEASURANDS, *(f"{measurand}.{phase}" for measurand in MEASURANDS for phase in PHASES))
    return Key(
        name,
        Kind.LIST,
        Access.READ_WRITE,
        default,
        meaning,
        members=members,
        member_name="a measurand of OCPP 1.6, with or without a phase",
        max_members_key=f"{name}MaxLength",
    )


def _max_length(name: str, default: str) -> Key:
    return _limit(f"{name}MaxLength", default, f"how many items {name} may have")


_CORE: Final = (
    _flag("AllowOfflineTxForUnknownId", "false", "an unknown id tag may charge while the Charge Point is offline"),
    _flag("AuthorizationCacheEnabled", "false", "answers about id tags are remembered"),
    _flag("AuthorizeRemoteTxRequests", "false", "a remote start is authorised like a local one"),
    _number("ClockAlignedDataInterval", "0", "seconds between meter values aligned with the clock; 0: none"),
    _number("ConnectionTimeOut", "60", "seconds that an authorised user has to plug in"),
    Key(
        "ConnectorPhaseRotation",
        Kind.LIST,
        Access.READ_WRITE,
        "Unknown",
        "how the phases of each connector are wired, for instance 0.RST,1.RTS",
        members=ROTATIONS,
        member_pattern=rf"(?:0|[1-9][0-9]{{0,2}})\.(?:{'|'.join(ROTATIONS)})",
        member_name=f"one of {', '.join(ROTATIONS)}, with or without a connector and a dot before it",
        max_members_key="ConnectorPhaseRotationMaxLength",
    ),
    _max_length("ConnectorPhaseRotation", "32"),
    _limit("GetConfigurationMaxKeys", "100", "how many keys one GetConfiguration.req may ask for", minimum=1),
    _number("HeartbeatInterval", "900", "seconds without a message after which a Heartbeat.req goes; 0: daily"),
    _flag("LocalAuthorizeOffline", "true", "known id tags may charge while the Charge Point is offline"),
    _flag("LocalPreAuthorize", "false", "known id tags need not wait for the Central System"),
    _number("MaxEnergyOnInvalidId", "0", "Wh that may still flow when an id tag turns out invalid"),
    _measurands("MeterValuesAlignedData", ENERGY, "what is measured every ClockAlignedDataInterval"),
    _max_length("MeterValuesAlignedData", "16"),
    _measurands("MeterValuesSampledData", ENERGY, "what is measured every MeterValueSampleInterval"),
    _max_length("MeterValuesSampledData", "16"),
    _number("MeterValueSampleInterval", "60", "seconds between meter values in a transaction; 0: none"),
    _number("MinimumStatusDuration", "0", "seconds that a connector's status lasts before it is reported"),
    Key("NumberOfConnectors", Kind.INTEGER, Access.READ, "1", "how many connectors there are", fixed=True, minimum=1),
    _number("ResetRetries", "3", "how often a reset that failed is tried again"),
    _flag("StopTransactionOnEVSideDisconnect", "true", "a transaction ends when the cable is pulled at the vehicle"),
    _flag("StopTransactionOnInvalidId", "true", "a transaction ends when its id tag turns out invalid"),
    _measurands("StopTxnAlignedData", "", "what of the aligned values goes into StopTransaction.req"),
    _max_length("StopTxnAlignedData", "16"),
    _measurands("StopTxnSampledData", "", "what of the sampled values goes into StopTransaction.req"),
    _max_length("StopTxnSampledData", "16"),
    Key(
        "SupportedFeatureProfiles",
        Kind.LIST,
        Access.READ,
        "Core,FirmwareManagement,RemoteTrigger",  # FirmwareManagement where files can be transferred (foundation.py)
        "the profiles of OCPP 1.6 that the Charge Point supports",
        members=PROFILES,
    ),
    _max_length("SupportedFeatureProfiles", "6"),
    _number("TransactionMessageAttempts", "5", "how often a transaction message that was refused is sent"),
    _number("TransactionMessageRetryInterval", "60", "seconds before it goes again, times the number of attempts"),
    _flag(
        "UnlockConnectorOnEVSideDisconnect", "true", "the connector is unlocked when the cable is pulled at the vehicle"
    ),
    # Section 9.1.35: a negative value is refused.
    _number("WebSocketPingInterval", "30", "seconds between pings of the WebSocket; 0: none"),
)

_NEIGHBOURS: Final = (
    Key("ReserveConnectorZeroSupported", Kind.BOOLEAN, Access.READ, "false", "connector 0 can be reserved"),
    Key(
        "SupportedFileTransferProtocols",
        Kind.LIST,
        Access.READ,
        ",".join(TRANSFER_PROTOCOLS),
        "the protocols by which files are fetched and sent; of these, those that libcurl can here (none without it)",
        members=TRANSFER_PROTOCOLS,
    ),
)

_SECURITY: Final = (
    Key(
        "AdditionalRootCertificateCheck",
        Kind.BOOLEAN,
        Access.READ,
        "false",
        "only one Central System root at a time; the next must be signed by it (M05.FR.08, M05.FR.09)",
        security=True,
    ),
    Key(
        "AllowCentralSystemTLSWildcards",
        Kind.BOOLEAN,
        Access.READ_WRITE,
        "false",
        "the certificate of the Central System may name its host by a wildcard",
        effect=Effect.RECONNECT,
        security=True,
    ),
    Key(
        "AuthorizationKey",
        Kind.SECRET,
        Access.WRITE,
        None,
        "the password for HTTP Basic, 16 to 20 bytes in hex (A00.FR.205, A01.FR.01); never shown",
        effect=Effect.RECONNECT,
        security=True,
    ),
    _limit(
        "CertificateSignedMaxChainSize",
        "10000",
        "characters of a certificate chain in CertificateSigned.req",
        minimum=1,
        maximum=MAX_CHAIN_CHARACTERS,
    ),
    _limit("CertificateStoreMaxLength", "20", "how many root certificates fit (M05.FR.03)", 1, MAX_STORE_LENGTH),
    Key(
        "CpoName",
        Kind.TEXT,
        Access.READ_WRITE,
        "",
        "the operator, O of the certificate that the Charge Point asks for (A02.FR.13, A03.FR.13); empty: not set",
        security=True,
        max_characters=MAX_CPO_NAME_CHARACTERS,
    ),
    Key(
        "SecurityProfile",
        Kind.INTEGER,
        Access.READ_WRITE,
        "0",
        "the security profile in use (A00.FR.001); over OCPP it is only raised (A05.FR.01)",
        effect=Effect.RECONNECT,
        security=True,
        maximum=3,
    ),
)

KEYS: Final[Mapping[str, Key]] = {key.name: key for key in (*_CORE, *_NEIGHBOURS, *_SECURITY)}
"""Exact name -> key."""


def keys_of(*, text_passwords: bool) -> Mapping[str, Key]:
    """Return the keys as ``[interop]`` wants them.

    Args:
        text_passwords: AuthorizationKey takes a plain text too.
    """
    return {**KEYS, "AuthorizationKey": replace(KEYS["AuthorizationKey"], takes_text=text_passwords)}
