"""The years of a Charge Point in seconds: an agent in this process, its operator, and a calendar that the test turns.

The board has no battery: whenever it gets power, it boots on 1 January 1970. All else is real: the agent, its state
directory, TLS and the certificates, whose dates are those of the calendar. The operator knows what was confirmed to
him, and `check` holds the agent against it.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final, TypedDict, cast

from cryptography import x509

from chargepoint.agent import Agent
from chargepoint.connection import ConnectionState
from chargepoint.foundation import Foundation, open_foundation
from chargepoint.hardware.port import ResetKind
from chargepoint.hardware.simulated import SimulatedHardware
from chargepoint.settings import HardwareSettings, Settings, load
from chargepoint.simulation.authority import CLIENT, Authority, Issued, PublicKey, subject_name
from chargepoint.simulation.central_system import CentralSystem, Connection, ConnectionGone
from chargepoint.simulation.certificate_hash import hash_data, to_der
from chargepoint.simulation.frame import Call
from chargepoint.simulation.password import new_password
from chargepoint.simulation.pki import CPO_NAME, Pki
from security.enrolment_state import Stage
from security.secret import Secret
from security.store import CaDomain
from tests.agent_process import write_config
from tests.bare_charge_point import basic
from tests.roots import successor_of
from tests.site import IDENTITY, SERIAL_NUMBER, authorization, change, upgrade_of, value_of

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
BEGIN: Final = datetime(2027, 1, 15, tzinfo=UTC)
DAY: Final = timedelta(days=1)
MONTH: Final = 30 * DAY  # that of A03.FR.02 (docs/decisions/0018)
CERTIFICATE_LIFE: Final = 385 * DAY  # a year, and three weeks for what may go wrong with its renewal
SERVER_LIFE: Final = 40 * DAY
ROOT_LIFE: Final = 6 * 365 * DAY
NEAR: Final = timedelta(minutes=1)
PATIENCE_S: Final = 10

_boots = count()


def month(number: int) -> datetime:
    """The day of a month on which the Charge Point has power, counted from the beginning."""
    years, months = divmod(BEGIN.month - 1 + number, 12)
    return BEGIN.replace(year=BEGIN.year + years, month=months + 1)


class Dates(TypedDict):
    """The validity of a certificate."""

    not_before: datetime
    not_after: datetime


class Board(SimulatedHardware):
    """A board without a battery."""

    def __init__(self, settings: HardwareSettings, connectors: int, directory: Path) -> None:
        super().__init__(settings, connectors, directory)
        self._boot_id = f"boot {next(_boots)}"
        self.set_clock((EPOCH - datetime.now(UTC)).total_seconds())

    @property
    def boot_id(self) -> str:
        return self._boot_id


class Decade:
    """The Charge Point, and what its operator knows of it.

    Attributes:
        central_system: the operator's.
        today: the date, for everybody but the board.
        profile: the security profile that was confirmed last.
        password: the password that was confirmed last.
        certificate: the certificate that is to be presented.
        coming: the certificate that came last; it may be ahead of its time.
        boots: how often the board has booted.
        requests: how many certificate requests have come.
        root: the root that issues certificates.
        roots: the roots of all the years; those that are in date vouch for the Charge Point.
        shown_root: the root of the certificate that the Central System shows.
        installed: the roots that the Charge Point is to have.
        certificates: the directory of the certificate store.
        one_at_a_time: AdditionalRootCertificateCheck, as config.toml has it.
    """

    def __init__(self, directory: Path) -> None:
        self.today = BEGIN
        self.profile = 2
        self.password = new_password()
        self.pki = Pki.create()
        self.roots: list[Authority] = []
        self.root = self.shown_root = self.new_root("Root 1")
        self.installed = [self.root]
        self.certificate = self.pki.charge_point_certificate(
            SERIAL_NUMBER, issuer=self.root, **self._dates(CERTIFICATE_LIFE)
        )
        self.coming = self.certificate
        self.boots = 0
        self.requests = 0
        self.one_at_a_time = True
        self.central_system = CentralSystem(
            pki=self.pki, profile=2, clock=lambda: self.today, own_calendar=True, heartbeat_interval=timedelta(days=1)
        )
        self.central_system.passwords[IDENTITY] = self.password
        self.central_system.serial_numbers[IDENTITY] = SERIAL_NUMBER
        self._first_password = self.password
        self._directory = directory
        self.certificates = directory / "state" / "certificates"
        self._power = AsyncExitStack()
        (directory / "root.pem").write_bytes(self.root.pem)
        self.certificate.write(directory, "own")
        (directory / "own.key").chmod(0o600)

    async def switch_on(self) -> None:
        """Give the board power, and wait until the Charge Point has booted."""
        self.foundation: Foundation = await self._power.enter_async_context(open_foundation(self.settings()))
        self.agent = Agent(self.foundation)
        self._living = asyncio.create_task(self.agent.live(), name="agent")
        self.boots += 1
        await self.central_system.expect("BootNotification")
        await self.ask("SecurityProfile")

    async def switch_off(self) -> None:
        """Have the agent end in order."""
        self.agent.reset(ResetKind.SOFT)
        await self._living
        await self._power.aclose()

    async def cut_power(self) -> None:
        """Take the power away: what the agent does on its way out never was."""
        state, left = self._directory / "state", self._directory / "left"
        # Without the -shm file: it is memory, and SQLite makes it anew from the log.
        shutil.copytree(state, left, ignore=shutil.ignore_patterns("*-shm", "lock"), copy_function=_copy)
        await self.abandon()
        shutil.rmtree(state)
        left.rename(state)
        await self.switch_on()

    async def abandon(self) -> None:
        """End the agent without a good-bye, should it run."""
        if hasattr(self, "_living"):
            self._living.cancel()
            with suppress(asyncio.CancelledError):
                await self._living
        await self._power.aclose()

    def settings(self) -> Settings:
        """What the installer has written into config.toml: for the most part, on the first day."""
        tables: dict[str, dict[str, Any]] = {
            "configuration": {
                "SecurityProfile": 2,
                "AuthorizationKey": self._first_password.hex(),
                "CpoName": CPO_NAME,
                "AdditionalRootCertificateCheck": self.one_at_a_time,
            },
            "provisioning": {
                "central_system_roots": ["root.pem"],
                "certificate": "own.pem",
                "private_key": "own.key",
            },
            "security": {"profile_trial_attempts": 2, "profile_trial_s": 0},
            "control": {"socket": ""},
        }
        return load(write_config(self._directory, self.central_system.url, tables))

    def turn_to(self, today: datetime) -> None:
        """Let it be another day; the certificate of the Central System is always a fresh one."""
        self.today = today
        if self.coming.x509.not_valid_before_utc <= today:
            self.certificate = self.coming
        self.show(self.shown_root)
        self.central_system.trust(*(root for root in self.roots if root.certificate.not_valid_after_utc > today))

    def show(self, root: Authority) -> None:
        """Have the Central System show a certificate under a root."""
        self.shown_root = root
        self.central_system.present(self.pki.server_certificate(issuer=root, **self._dates(SERVER_LIFE)))

    def new_root(self, name: str, signed_by: Authority | None = None) -> Authority:
        """Make a root of today, signed by itself or by the one that it is to replace."""
        dates = self._dates(ROOT_LIFE)
        root = successor_of(signed_by, name, **dates) if signed_by else Authority.root(name, CPO_NAME, **dates)
        self.roots.append(root)
        return root

    async def ask(self, key: str) -> str | None:
        """Ask for the value of a key: what the agent had to do before it converses is done then."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(ConnectionGone):  # it comes back with something new
                    return await value_of(self.central_system, key)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Keep the conversation going until something is true."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await self.ask("SecurityProfile")

    async def fails_to_connect(self, times: int) -> None:
        """Wait until so many tries to connect have failed."""
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(times):
                await self.agent.connection.wait_for(ConnectionState.CONNECTING)
                await self.agent.connection.wait_for(ConnectionState.WAITING)

    async def came_back(self, before: Connection) -> Connection:
        """Wait for the connection after another one."""
        after = await self.central_system.connected(IDENTITY, after=before)
        await self.ask("SecurityProfile")
        return after

    async def change_password(self) -> None:
        """Order another password; in profile 2 the Charge Point comes back with it."""
        before = await self.central_system.connected(IDENTITY)
        password = new_password()
        assert await change(self.central_system, "AuthorizationKey", password.hex()) == "Accepted"
        self.password = password
        if self.profile == 2:
            await self.came_back(before)

    async def certificate_request(self) -> str:
        """Return the certificate request that comes next."""
        self.requests += 1
        return str((await self.central_system.expect("SignCertificate"))["csr"])

    async def request_is(self, stage: Stage) -> None:
        """Wait until the certificate request has come so far."""

        def has_come() -> bool:
            request = self.foundation.enrolment.state.request
            return request is not None and request.stage is stage

        await self.until(has_come)

    async def order_request(self) -> str:
        """Order a certificate request, and return it (A02)."""
        order = {"requestedMessage": "SignChargePointCertificate"}
        answer = await self.central_system.call("ExtendedTriggerMessage", order)
        assert answer == {"status": "Accepted"}
        return await self.certificate_request()

    def sign(self, request: str, begins_at: datetime | None = None) -> Issued:
        """Sign a certificate request."""
        dates = self._dates(CERTIFICATE_LIFE, begins_at)
        return self.pki.sign_csr(request, serial_number=SERIAL_NUMBER, issuer=self.root, **dates)

    def sign_for_another_operator(self, request: str) -> Issued:
        """Sign a certificate request, but for a Charge Point of somebody else."""
        key = cast("PublicKey", x509.load_pem_x509_csr(request.encode()).public_key())
        subject = subject_name(SERIAL_NUMBER, "Another operator")
        return self.root.issue(subject, usages=(CLIENT,), key=key, **self._dates(CERTIFICATE_LIFE))

    async def hand_over(self, certificate: Issued) -> str:
        """Send CertificateSigned.req and return the answer."""
        chain = {"certificateChain": certificate.chain_pem.decode()}
        return str((await self.central_system.call("CertificateSigned", chain))["status"])

    async def renew(self, request: str) -> None:
        """Sign a request; in profile 3 the Charge Point comes back with the certificate."""
        before = await self.central_system.connected(IDENTITY)
        certificate = self.sign(request)
        assert await self.hand_over(certificate) == "Accepted"
        self.certificate = self.coming = certificate
        if self.profile == 3:
            await self.came_back(before)

    async def renew_by_itself(self) -> None:
        """Sign the request that the Charge Point makes by itself (A03)."""
        await self.renew(await self.certificate_request())

    @property
    def is_renewal_due(self) -> bool:
        """Whether the certificate that came last ends within a month."""
        return self.coming.x509.not_valid_after_utc - self.today <= MONTH

    async def install(self, root: Authority) -> str:
        """Send InstallCertificate.req and return the answer."""
        order = {"certificateType": "CentralSystemRootCertificate", "certificate": root.pem.decode()}
        return str((await self.central_system.call("InstallCertificate", order))["status"])

    async def delete(self, root: Authority, signed_by: Authority) -> str:
        """Send DeleteCertificate.req and return the answer."""
        order = {"certificateHashData": hash_data(root.pem, signed_by.pem)}
        return str((await self.central_system.call("DeleteCertificate", order))["status"])

    async def move_to(self, root: Authority) -> None:
        """Have the Charge Point come back to a Central System certificate under another root."""
        before = await self.central_system.connected(IDENTITY)
        self.show(root)
        await self.central_system.drop()
        await self.came_back(before)

    async def check(self) -> None:
        """The Charge Point is connected with what was confirmed last, knows the time, and keeps nothing else."""
        connection = await self.central_system.connected(IDENTITY)
        assert connection.profile == self.profile
        assert await self.ask("SecurityProfile") == str(self.profile)
        upgrade = await upgrade_of(self.central_system, connection)
        assert upgrade.tls is not None
        in_3 = self.profile == 3
        assert authorization(upgrade) == (None if in_3 else basic(self.password)["Authorization"])
        assert upgrade.tls.client_certificate == (to_der(self.certificate.certificate_pem) if in_3 else None)

        configuration, clock = self.foundation.configuration, self.foundation.clock
        assert configuration.authorization_key() == Secret(self.password.hex().encode())
        assert configuration.trial("SecurityProfile") is None
        assert self.profile == 3 or configuration.trial("AuthorizationKey") is None
        assert clock.is_set
        assert abs(clock.now() - self.today) < NEAR

        roots = self.foundation.certificates.roots(CaDomain.CENTRAL_SYSTEM)
        assert {root.der for root in roots} == {to_der(root.pem) for root in self.installed}
        assert self.foundation.enrolment.state.request is None
        assert len(self.central_system.recorder.frames("received", "SignCertificate")) == self.requests
        assert self.central_system.findings == []

    def events(self) -> list[tuple[str, str, datetime]]:
        """The security events that the Central System was told of: type, what was said of it, and when it happened."""
        frames = [entry.frame for entry in self.central_system.recorder.frames("received", "SecurityEventNotification")]
        payloads = [frame.payload for frame in frames if isinstance(frame, Call)]
        return [
            (each["type"], each.get("techInfo", ""), datetime.fromisoformat(each["timestamp"])) for each in payloads
        ]

    def files(self, kind: str) -> list[Path]:
        """The files of a kind of certificates."""
        return sorted((self.certificates / kind).iterdir())

    def _dates(self, life: timedelta, begins_at: datetime | None = None) -> Dates:
        return Dates(not_before=begins_at or self.today - DAY, not_after=(begins_at or self.today) + life)


def _copy(source: str, target: str) -> None:
    with suppress(FileNotFoundError):  # it was on its way to another name
        shutil.copy2(source, target)


@asynccontextmanager
async def decade(directory: Path) -> AsyncIterator[Decade]:
    """The Central System of ten years; the test switches the Charge Point on."""
    life = Decade(directory)
    async with life.central_system:
        try:
            yield life
        finally:
            await life.abandon()
