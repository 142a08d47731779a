"""Ten years of a Charge Point whose board boots in 1970 each time: passwords, certificates, roots and profiles change.

Once a month it has power for a while. What happens in which month is `PLAN`; every month brings a new password, every
year a new certificate, and some of them go wrong. After each month the Charge Point is connected with what was
confirmed last (tests/decade.py). In the months of `AWAY` nobody switches it on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from chargepoint.local import configure
from chargepoint.simulation.authority import Authority
from chargepoint.simulation.password import new_password
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.recorder import Refusal
from chargepoint.simulation.script import Answer, Cut
from security.enrolment_state import Stage
from tests.decade import DAY, NEAR, Board, Decade, decade, month
from tests.site import IDENTITY, SERIAL_NUMBER, change

MONTHS: Final = 120
YEAR: Final = timedelta(days=365)  # that of [logs] security_log_max_age_days
AWAY: Final = frozenset((*range(24, 27), *range(100, 105)))


async def refuse_the_password(life: Decade) -> None:
    """The Central System loses the new password: the Charge Point goes back to the one that worked (A01)."""
    before = await life.central_system.connected(IDENTITY)
    assert await change(life.central_system, "AuthorizationKey", new_password().hex()) == "Accepted"
    life.central_system.passwords[IDENTITY] = life.password
    await life.came_back(before)


async def order_a_bad_password(life: Decade) -> None:
    assert await change(life.central_system, "AuthorizationKey", b"15 bytes, no 16".hex()) == "Rejected"


async def cut_the_power_behind_a_password(life: Decade) -> None:
    password = new_password()
    assert await change(life.central_system, "AuthorizationKey", password.hex()) == "Accepted"
    life.password = password
    await life.cut_power()


async def be_away_while_the_password_changes(life: Decade) -> None:
    before = await life.central_system.connected(IDENTITY)
    password = new_password()
    assert await change(life.central_system, "AuthorizationKey", password.hex()) == "Accepted"
    life.password = password
    await life.central_system.suspend()
    await life.fails_to_connect(3)
    await life.central_system.resume()
    await life.came_back(before)


async def cut_the_power_while_the_certificate_is_made(life: Decade) -> None:
    request = await life.certificate_request()
    await life.request_is(Stage.ANSWERED)
    await life.cut_power()
    await life.renew(request)


async def lose_the_answer_to_the_request(life: Decade) -> None:
    """The link is lost before SignCertificate.conf: the same request comes again."""
    before = await life.central_system.connected(IDENTITY)
    first = await life.certificate_request()
    await life.came_back(before)
    again = await life.certificate_request()
    assert again == first
    await life.renew(again)


async def cut_the_power_behind_a_certificate(life: Decade) -> None:
    certificate = life.sign(await life.certificate_request())
    assert await life.hand_over(certificate) == "Accepted"
    life.certificate = life.coming = certificate
    await life.cut_power()


async def hand_over_wrong_certificates_first(life: Decade) -> None:
    request = await life.certificate_request()
    stranger = Authority.root("Stranger", "Stranger")
    wrong = (
        life.pki.sign_csr(request, issuer=stranger),
        life.pki.charge_point_certificate(SERIAL_NUMBER, issuer=life.root),  # for another key
    )
    for certificate in wrong:
        assert await life.hand_over(certificate) == "Rejected"
    await life.renew(request)


async def reject_the_request_and_order_another(life: Decade) -> None:
    await life.certificate_request()
    await life.request_is(Stage.ENDED)
    await life.renew(await life.order_request())


async def refuse_the_certificate(life: Decade) -> None:
    """The new certificate is one that the Central System does not let in: the one before is presented again (A03)."""
    before = await life.central_system.connected(IDENTITY)
    request = await life.certificate_request()
    assert await life.hand_over(life.sign_for_another_operator(request)) == "Accepted"
    await life.came_back(before)
    assert len(life.foundation.enrolment.state.given_up) == 1
    await life.renew(await life.order_request())


async def hand_over_a_certificate_ahead_of_its_time(life: Decade) -> None:
    life.coming = life.sign(await life.order_request(), begins_at=month(72))
    assert await life.hand_over(life.coming) == "Accepted"


async def succeed_the_root(life: Decade) -> None:
    """M05 with AdditionalRootCertificateCheck: the old root stays until the new one has verified a connection."""
    life.root = life.new_root("Root 2", signed_by=life.root)
    assert await life.install(life.root) == "Accepted"
    life.installed.append(life.root)
    await life.cut_power()


async def show_the_successor(life: Decade) -> None:
    await life.move_to(life.root)
    del life.installed[0]


async def install_a_stranger(life: Decade) -> None:
    assert await life.install(Authority.root("Stranger", "Stranger")) == "Rejected"


async def install_a_second_root(life: Decade) -> None:
    life.root = life.new_root("Root 3")
    assert await life.install(life.root) == "Accepted"
    life.installed.append(life.root)


async def fail_to_delete_the_root_in_use(life: Decade) -> None:
    assert await life.delete(life.installed[0], life.roots[0]) == "Failed"


async def move_to_the_second_root(life: Decade) -> None:
    await life.move_to(life.root)
    assert await life.delete(life.installed[0], life.roots[0]) == "Accepted"
    del life.installed[0]


async def meet_a_stranger(life: Decade) -> None:
    """Somebody else sits at the address of the Central System for a while."""
    before = await life.central_system.connected(IDENTITY)
    life.central_system.present(life.pki.server_certificate(issuer=Pki.create().central_system_root))
    await life.central_system.drop()
    for _ in range(2):
        await life.central_system.recorder.take(Refusal, lambda entry: entry.stage == "tls")
    life.show(life.shown_root)
    await life.came_back(before)


async def order_a_profile_that_is_not_served(life: Decade) -> None:
    before = await life.central_system.connected(IDENTITY)
    assert await change(life.central_system, "SecurityProfile", "3") == "Accepted"
    await life.came_back(before)


async def upgrade(life: Decade) -> None:
    before = await life.central_system.connected(IDENTITY)
    assert await change(life.central_system, "SecurityProfile", "3") == "Accepted"
    life.central_system.profile = life.profile = 3
    await life.came_back(before)


async def upgrade_with_a_power_cut(life: Decade) -> None:
    assert await change(life.central_system, "SecurityProfile", "3") == "Accepted"
    life.central_system.profile = life.profile = 3
    await life.cut_power()


async def reject_one_request(life: Decade) -> None:
    life.central_system.script("SignCertificate", Answer({"status": "Rejected"}), times=1)


async def cut_one_request(life: Decade) -> None:
    life.central_system.script("SignCertificate", Cut(), times=1)


async def take_the_check_away(life: Decade) -> None:
    """The installer writes into config.toml that there may be several roots."""
    life.one_at_a_time = False


async def set_profile_2(life: Decade) -> None:
    """The operator takes the Charge Point back, and the installer lowers its profile (A00.FR.005)."""
    life.central_system.register.highest_profiles.clear()
    life.central_system.profile = life.profile = 2
    assert await configure(life.settings(), {"SecurityProfile": "2"}) == []


Act = Callable[[Decade], Awaitable[None]]

BEFORE: Final[Mapping[int, Act]] = {
    51: reject_one_request,
    60: take_the_check_away,
    80: set_profile_2,
    84: cut_one_request,
}
"""What happens before the board has power."""

RENEWALS: Final[Mapping[int, Act]] = {
    12: cut_the_power_while_the_certificate_is_made,
    39: hand_over_wrong_certificates_first,
    51: reject_the_request_and_order_another,
    63: refuse_the_certificate,
    84: lose_the_answer_to_the_request,
    96: cut_the_power_behind_a_certificate,
}
"""How a renewal goes, in a month in which it does not simply go well."""

PLAN: Final[Mapping[int, Act]] = {
    3: refuse_the_password,
    5: order_a_bad_password,
    7: cut_the_power_behind_a_password,
    9: be_away_while_the_password_changes,
    30: succeed_the_root,
    32: show_the_successor,
    33: install_a_stranger,
    36: order_a_profile_that_is_not_served,
    37: upgrade,
    45: cut_the_power_behind_a_password,
    57: meet_a_stranger,
    61: install_a_second_root,
    62: fail_to_delete_the_root_in_use,
    63: move_to_the_second_root,
    70: hand_over_a_certificate_ahead_of_its_time,
    81: refuse_the_password,
    88: upgrade_with_a_power_cut,
    115: cut_the_power_behind_a_password,
}
"""What else happens, before the certificate and the password are renewed."""


@pytest.fixture(autouse=True)
def board_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargepoint.foundation.open_hardware", Board)


@pytest.mark.requirement("A01.FR.01", "A03.FR.02", "A05.FR.08", "M05.FR.12")
@pytest.mark.timeout(300)  # ten seconds on an idle machine, more than a minute where others work too
async def test_ten_years_pass_without_a_lock_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    renewed = []
    async with decade(tmp_path) as life:
        for number in sorted({*range(MONTHS)} - AWAY):
            life.turn_to(month(number))
            if number in BEFORE:
                await BEFORE[number](life)
            await life.switch_on()
            if number in PLAN:
                await PLAN[number](life)
            if life.is_renewal_due:
                renewed.append(number)
                await RENEWALS.get(number, Decade.renew_by_itself)(life)
            await life.change_password()
            await life.check()
            if number == MONTHS - 1:
                await assert_nothing_is_left_over(life)
            await life.switch_off()
        assert_every_event_has_its_time(life)
    assert renewed == [12, 27, 39, 51, 63, 84, 96, 108]  # and by order in 70
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def assert_nothing_is_left_over(life: Decade) -> None:
    """What has had its time is gone, from the disk too, and no key is without its certificate."""
    await life.until(lambda: len(life.foundation.certificates.charge_point_certificates) == 1)
    fingerprint = life.certificate.x509.fingerprint(SHA256()).hex()
    assert [file.name for file in life.files("charge_point")] == [f"{fingerprint}.key", f"{fingerprint}.pem"]
    assert len(life.files("central_system")) == len(life.installed) == 1
    assert "PRIVATE KEY" not in (life.certificates / "enrolment.json").read_text()
    async with asyncio.timeout(10):
        while await life.foundation.event_queue.count():
            await life.ask("SecurityProfile")
    [oldest, *_] = await life.foundation.security_log.read(None, None, 1)
    assert life.today - oldest.event.occurred_at < YEAR + DAY


def assert_every_event_has_its_time(life: Decade) -> None:
    """The Central System has heard of each boot and each correction of the clock, at the time that it happened."""
    days = [month(number) for number in range(MONTHS)]
    events = life.events()
    assert all(any(abs(happened_at - day) < NEAR for day in days) for _, _, happened_at in events)
    assert {kind for kind, _, _ in events} == {
        "StartupOfTheDevice",
        "ResetOrReboot",
        "SettingSystemTime",
        "InvalidChargePointCertificate",
    }
    boots = {info for kind, info, _ in events if kind == "StartupOfTheDevice"}
    assert len(boots) == life.boots
    assert sum(kind == "SettingSystemTime" for kind, _, _ in events) >= life.boots
