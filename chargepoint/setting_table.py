"""The tables of config.toml: every key once, with its unit, default, bounds and reason.

The shipped config.toml shows the same to people, and a test keeps the two together. [configuration] is not here: its
keys are those of OCPP (configuration.py).
"""
# ruff: noqa: RUF009 - `setting` returns a dataclass field, as dataclasses.field does

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from chargepoint.setting import setting
from chargepoint.setting_check import (
    check_event_type,
    check_identity,
    check_key_uri,
    check_proxy,
    check_serial_number,
    check_server_name,
    check_url,
)

Tolerance = Literal["refuse", "tolerate"]
"""What happens to a message that breaks the schema in a way that does no harm."""

Revocation = Literal["off", "soft", "hard"]
"""Whether anybody is asked if a certificate is revoked, and what follows where nobody knows (docs/decisions/0090)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePointSettings:
    """[charge_point]: who this Charge Point is. The lengths are those of BootNotification.req."""

    identity: str = setting(
        unit="characters", low=1, high=48, check=check_identity, why="48 as OCPP 2.0.1 has it, 1.6 names no length"
    )
    vendor: str = setting(unit="characters", low=1, high=20, why="chargePointVendor")
    model: str = setting(unit="characters", low=1, high=20, why="chargePointModel")
    serial_number: str = setting(
        unit="characters", low=1, high=25, check=check_serial_number, why="chargePointSerialNumber, CN (A00.FR.511)"
    )
    firmware_version: str | None = setting(
        None, unit="characters", high=50, why="firmwareVersion, where neither driver nor installer knows it"
    )
    connectors: int = setting(
        1, unit="connectors", low=1, high=64, why="bounds memory; more than any known Charge Point has"
    )
    iccid: str | None = setting(None, unit="characters", high=20, why="iccid of the modem's SIM card")
    imsi: str | None = setting(None, unit="characters", high=20, why="imsi of the modem's SIM card")
    meter_type: str | None = setting(None, unit="characters", high=25, why="meterType")
    meter_serial_number: str | None = setting(None, unit="characters", high=25, why="meterSerialNumber")
    charge_box_serial_number: str | None = setting(
        None, unit="characters", high=25, why="chargeBoxSerialNumber, deprecated by OCPP 1.6"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralSystemSettings:
    """[central_system]: where the Central System is found; the identity is appended to the address."""

    url: str = setting(check=check_url, why="the operator's endpoint")
    urls: Mapping[int, str] = setting(
        {}, unit="security profile", low=0, high=3, check=check_url, why="where a profile has an address of its own"
    )
    tls_server_name: str | None = setting(
        None, check=check_server_name, why="the name that the certificate must bear where the URL holds an IP address"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """[state]: where everything lives that must survive."""

    directory: Path = setting(why="where the keys lie is the integrator's choice; systemd's is /var/lib/chargepoint")
    min_free_mib: int = setting(
        16, unit="MiB", low=0, high=1_000_000_000, why="MemoryExhaustion below it; twice what the security log takes"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """[control]: the local control socket."""

    socket: Path | None = setting(Path("control.sock"), why="beside the state; empty switches it off")
    group: str = setting("", unit="characters", high=32, why="nobody but the agent's own user; 32 as Linux has it")


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareSettings:
    """[hardware]: the driver of the Charge Point's hardware; [hardware.options] goes to it unread."""

    driver: str = setting("simulated", unit="characters", low=1, high=64, why="runs on any machine")
    on_reboot: Literal["restart", "exit"] = setting("restart", why="simulated driver: the agent comes back by itself")
    options: Mapping[str, object] = setting({}, why="what a vendor's driver wants to know")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningSettings:
    """[provisioning]: PEM files that the factory or the installer puts in; installed at start where not seen before."""

    central_system_roots: tuple[Path, ...] = setting((), why="roots of the operator (CentralSystemRootCertificate)")
    manufacturer_roots: tuple[Path, ...] = setting((), why="roots of firmware signing (ManufacturerRootCertificate)")
    charge_point_roots: tuple[Path, ...] = setting(
        (), why="for Charge Point certificates only, where the Central System's own comes from another authority"
    )
    certificate: Path | None = setting(None, why="Charge Point certificate, its chain may follow; profile 3")
    private_key: Path | None = setting(
        None, why="the key of that certificate; encrypted, if at all, as key_passphrase_file has it"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """[connection]: how the link to the Central System is opened, kept and opened again, and how much it may take."""

    open_timeout: timedelta = setting(
        timedelta(seconds=20), unit="s", low=1, high=300, why="DNS, TCP, TLS and HTTP over a slow mobile link"
    )
    close_timeout: timedelta = setting(
        timedelta(seconds=2), unit="s", low=0.1, high=60, why="the agent must have ended 5 s after SIGTERM"
    )
    call_timeout: timedelta = setting(
        timedelta(seconds=30), unit="s", low=1, high=600, why="then the link is probed by a ping"
    )
    ping_timeout: timedelta = setting(
        timedelta(seconds=10),
        unit="s",
        low=1,
        high=300,
        why="a ping is answered without any work",
    )
    retry_first: timedelta = setting(
        timedelta(seconds=1), unit="s", low=0, high=3600, why="first five waits; OCTT TC_078 expects it soon"
    )
    retry_initial: timedelta = setting(
        timedelta(seconds=5), unit="s", low=0.1, high=3600, why="the sixth wait; a restarted modem needs some seconds"
    )
    retry_max: timedelta = setting(
        timedelta(seconds=300), unit="s", low=1, high=86_400, why="back within minutes after a long outage"
    )
    retry_factor: float = setting(2.0, unit="times", low=1, high=10, why="the usual exponential back-off")
    retry_jitter: float = setting(
        0.25, unit="share of the wait", low=0, high=1, why="a Central System that restarts is not met by all at once"
    )
    max_frame_bytes: int = setting(
        262_144, unit="bytes", low=16_384, high=16_777_216, why="a SendLocalList.req of some thousand id tags fits"
    )
    max_inbound_calls: int = setting(
        16, unit="requests", low=1, high=1024, why="OCPP-J allows one at a time; room for those that do not keep to it"
    )
    max_remembered_answers: int = setting(
        64,
        unit="answers",
        low=1,
        high=4096,
        why="a repeated request is not carried out twice",
    )
    proxy: str = setting(
        "", unit="characters", high=512, check=check_proxy, secret=True, why="none, whatever the environment says"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """[session]: being accepted by the Central System and staying so."""

    boot_retry: timedelta = setting(
        timedelta(seconds=60), unit="s", low=1, high=86_400, why="BootNotification after silence, CALLERROR, interval 0"
    )
    clock_step: timedelta = setting(
        timedelta(seconds=10), unit="s", low=1, high=86_400, why="SettingSystemTime above it; drift and delay are below"
    )
    default_heartbeat: timedelta = setting(
        timedelta(seconds=300), unit="s", low=1, high=86_400, why="where the Central System leaves it open (interval 0)"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySettings:
    """[security]: choices that the white paper leaves open."""

    static_rsa: bool = setting(
        default=True, why="the white paper's second pair of suites (A00.FR.318), offered last; no forward secrecy"
    )
    profile_trial_attempts: int = setting(
        3, unit="tries", low=2, high=100, why="A05.FR.08; one try may just have met a network that was away"
    )
    profile_trial: timedelta = setting(
        timedelta(seconds=60), unit="s", low=0, high=3600, why="A05.FR.08; a Central System may restart its listener"
    )
    send_events: bool = setting(
        default=True, why="A04.FR.01; false where the Central System does not have SecurityEventNotification.req"
    )
    also_send: tuple[str, ...] = setting(
        (), unit="characters", low=1, high=50, check=check_event_type, why="the critical ones and those owed are sent"
    )
    event_attempts: int = setting(
        3, unit="attempts", low=1, high=100, why="a refused event is set aside then; as OCPP 1.6 bounds transactions'"
    )
    key_type: Literal["ec-p256", "ec-p384", "rsa-2048", "rsa-3072"] = setting(
        "ec-p256", why="of new key pairs (A00.FR.501 to 503); quick on small boards, and known to every authority"
    )
    key_provider: Literal["", "pkcs11", "tpm2"] = setting(
        "", why="private keys are files; else they live in hardware that this provider of OpenSSL reaches"
    )
    key_uri: str = setting(
        "", unit="characters", high=255, check=check_key_uri, why="none; with pkcs11 the token for new keys"
    )
    key_passphrase_file: Path | None = setting(
        None, why="files of private keys are not encrypted; else with the first line of this file"
    )
    renewal_repeat: timedelta = setting(
        timedelta(), unit="days", low=0, high=30, why="never: an unanswered request is an operator's matter (A02, A03)"
    )
    event_retry: timedelta = setting(
        timedelta(seconds=10), unit="s", low=0.1, high=3600, why="after the first refusal; grows by as much with each"
    )
    revocation_central_system: Revocation = setting(
        "off",
        why="the Central System's certificate is to live for a day (A00.FR.701); soft or hard where it lives long",
    )
    revocation_firmware: Revocation = setting(
        "soft", why="a signing certificate lives for years (L01.FR.25), and a CA that is away is to stop no update"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InteropSettings:
    """[interop]: concessions to Central Systems that do not keep to the specification; all off."""

    unknown_properties: Tolerance = setting("refuse", why="the schemas of OCPP 1.6 allow no additional properties")
    over_long_strings: Tolerance = setting("refuse", why="the schemas of OCPP 1.6 bound each text")
    system_trust_store: bool = setting(
        default=False, why="only installed roots are trusted (A00.FR.307); true adds those of the machine"
    )
    authorization_key_text: bool = setting(
        default=False, why="A00.FR.205: hex only; true takes 16 to 20 bytes of text in ChangeConfiguration.req too"
    )
    authorization_key_as_hex_text: bool = setting(
        default=False, why="the password is the bytes; true sends the hex digits themselves, as they were set"
    )
    firmware_pkcs1: bool = setting(
        default=False, why="L01.FR.04 names RSA-PSS; true takes firmware that is signed with RSA PKCS #1 v1.5 too"
    )
