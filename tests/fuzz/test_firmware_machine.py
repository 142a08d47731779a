"""Whatever happens to a firmware update, in whatever order: never an unsigned image, never two installations, no lie.

The machine is driven as its driver does it: a step and its reports are on the disk together before anything is done.
Hypothesis decides what each piece of work comes to, and strikes between any two steps: a kill, a power cut with a boot,
a second request, a file that is exchanged, a fault of ours.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware import command, event
from firmware.command import Command, Report
from firmware.event import Event, Found
from firmware.machine import TRANSITIONS, Update
from firmware.order import RECORDING
from firmware.record import Policy
from firmware.state import State, Stopping
from tests.updating import HOUR, NOW, OTHER_SHA256, SHA256, assert_legal, request

MAX_STEPS = 60
CUTS = ("cut before", "cut behind", "cut while it runs", "goes on")  # an installation whose outcome is never heard
ENOUGH_STEPS = 100  # for an update to end, once nothing strikes any more

POLICIES = st.builds(
    Policy, charging_during_install=st.booleans(), max_wait=st.sampled_from([None, HOUR]), retries=st.integers(0, 2)
)
REQUESTS = st.builds(
    lambda retrieve, install: request(retrieve_date_time=NOW + retrieve, install_date_time=install and NOW + install),
    st.sampled_from([-HOUR, HOUR]),
    st.sampled_from([None, -HOUR, 2 * HOUR]),
)


class Chance:
    """What happens, as Hypothesis decides; once it is `kind`, whatever lets an update go on."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self.kind = False

    def picks(self, *choices: Any) -> Any:
        """One of them; the first one is the one that lets it go on."""
        return choices[0] if self.kind else self._data.draw(st.sampled_from(choices))


class Dice(Chance):
    """What happens, as dice decide: without the liking of Hypothesis for what is simple, so that walks go far."""

    def __init__(self, seed: int) -> None:
        super().__init__(None)
        self._dice = random.Random(seed)  # noqa: S311 - nothing secret

    def picks(self, *choices: Any) -> Any:
        return choices[0] if self.kind else self._dice.choice(choices)


@dataclass
class Device:
    """What is so in the world: on the disk, in the slots, at the connectors.

    Attributes:
        snapshot: the machine as it lies on the disk.
        told: what the Central System is to hear, kept with it.
        events: the security events that were recorded.
        found: what the installer says.
        installations: how many were completed.
        genuine: the file is what the manufacturer has signed.
        held: no transaction can begin; forgotten by a kill.
        charging: a transaction runs.
        checked: the file was found good in this process, and nothing was installed since.
        taken: the rows of the table by which it went.
    """

    chance: Chance
    policy: Policy
    genuine: bool
    snapshot: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    found: Found = field(default_factory=lambda: Found(running_sha256=OTHER_SHA256))
    installations: int = 0
    trusted: bool = True
    held: bool = False
    charging: bool = False
    checked: bool = False
    now: Any = NOW
    taken: set[tuple[State, type[Event]]] = field(default_factory=set)

    def take(self, update: Update, what: Event) -> list[Command]:
        """A step: the machine first, then the disk."""
        was = update.state
        orders = update.receive(what)
        self.taken.add((was, type(what)))
        self.snapshot = update.snapshot()
        self.told += [each.status for each in orders if isinstance(each, Report)]
        return [each for each in orders if not isinstance(each, Report)]

    def work(self, order: Command) -> Event | None:
        """Do what was ordered; returns what came of it."""
        picks = self.chance.picks
        match order:
            case command.HoldConnectors():
                self.held = True
            case command.ReleaseConnectors():
                self.held = False
            case command.AwaitTime(at):
                self.now = max(self.now, at or self.now)
                return event.TimeCame(self.now, held=picks(False, True))
            case command.AwaitRelease():
                return event.HoldReleased()
            case command.Download():
                return self._download()
            case command.VerifySignature(sha256):
                assert sha256 == SHA256
                return event.SignatureAccepted() if self.genuine else event.SignatureRefused("it is wrong")
            case command.CheckImage(sha256):
                return self._check(sha256)
            case command.AwaitIdle(until):
                if until is None or not self.charging or picks(True, False):
                    self.charging = False
                    return event.TransactionsEnded()
                self.now = max(self.now, until)
                return event.WaitExpired()
            case command.Install(sha256):
                return self._install(sha256)
            case command.FollowInstall():
                self.found = replace(self.found, installing=False)
                if picks(True, False):
                    self._complete(at_once=picks(False, True))
                return event.InstallFollowed(self.now, self.found)
            case command.Withdraw():
                if not picks(True, False):
                    return event.WithdrawalRefused()
                self.found = replace(self.found, waiting_sha256=None)
                return event.ImageWithdrawn()
            case command.AwaitReport():
                return event.RebootAnnounced()
            case command.MarkGood():
                if not picks(True, False):
                    return event.MarkingFailed("the daemon is away")
                self.found = replace(self.found, confirmed=True)
                return event.MarkedGood("1.1.0")
            case command.RecordEvent(kind, _):
                self.events.append(kind)
                return event.EventRecorded()
        return None

    def restarted(self, *, boots: bool) -> tuple[Update, list[Command]]:
        """The agent starts on what the disk holds."""
        self.held = self.checked = False
        if boots:
            self.charging = False
            self._boot()
        update = Update.restore(self.snapshot, self.policy)
        if not update.expects_restart:
            return update, []
        may_try = update.is_over or update.count_start()
        self.snapshot = update.snapshot()
        what = event.Restarted(self.now, False, self.found) if may_try else event.JobFailed("it kills")
        return update, self.take(update, what)

    def _download(self) -> Event:
        outcome = self.chance.picks("completed", "interrupted", "refused", "held back")
        if outcome == "held back":
            return event.DownloadHeldBack()
        if outcome == "completed":
            return event.DownloadCompleted(SHA256, 1000)
        return event.DownloadInterrupted(self.now, "no answer", worth_retrying=outcome == "interrupted")

    def _check(self, sha256: str) -> Event:
        assert sha256 == SHA256
        if not self.trusted:
            return event.CertificateRefused("its root is gone")
        if not self.genuine:
            return event.SignatureRefused("it is not the file that was verified")
        self.checked = True
        return event.ImageConfirmed()

    def _install(self, sha256: str) -> Event | None:
        assert self.genuine, "an image that was not signed"
        assert self.checked, "an image that was not verified in this process"
        assert sha256 == SHA256
        may_charge = self.policy.charging_during_install
        assert may_charge or (self.held and not self.charging), "somebody charges, or may begin to"
        self.checked = False
        match self.chance.picks("reboot", "at once", "fails", "refused", *CUTS):
            case "reboot":
                self._complete(at_once=False)
                return event.RebootRequired(self.now)
            case "at once":
                self._complete(at_once=True)
                return event.ImageActivated()
            case "fails":
                return event.InstallFailed("the flash is worn")
            case "refused":
                return event.VerificationFailed("for another board")
            case "cut behind" | "cut while it runs" as cut:
                self._complete(at_once=cut == "cut while it runs")
            case "goes on":
                self.found = replace(self.found, installing=True)
        return None  # the outcome is never heard

    def _complete(self, *, at_once: bool) -> None:
        self.installations += 1
        if at_once:
            self.found = replace(self.found, running_sha256=SHA256, confirmed=False)
        else:
            self.found = replace(self.found, waiting_sha256=SHA256)

    def _boot(self) -> None:
        found = replace(self.found, installing=False)
        old = Found(running_sha256=OTHER_SHA256)
        if found.waiting_sha256 is not None:
            new = Found(running_sha256=SHA256, confirmed=False)
            found = self.chance.picks(new, old, found)
        elif not found.confirmed:
            found = self.chance.picks(found, old)
        self.found = found


def strike(device: Device, update: Update, orders: list[Command]) -> tuple[Update, list[Command]]:
    """Something happens between two steps."""
    match device.chance.picks(*["nothing"] * 12, "kill", "power cut", "charge", "exchange", "distrust", "fault"):
        case "kill":
            return device.restarted(boots=False)
        case "power cut":
            return device.restarted(boots=True)
        case "charge" if not device.held:
            device.charging = True
        case "exchange" if not device.checked:
            device.genuine = False
        case "distrust":
            device.trusted = False
        case "fault" if not update.is_over and update.state not in RECORDING:
            return update, device.take(update, event.JobFailed("a fault"))
        case "nothing" if device.chance.picks(True, False):
            update.settle()
            device.snapshot = update.snapshot()
    return update, orders


def go_on(device: Device, update: Update, orders: list[Command]) -> tuple[Update, list[Command]]:
    """Carry out the next order, and take what comes of it to the machine."""
    order, rest = orders[0], orders[1:]
    if isinstance(order, command.Reboot):
        assert device.held, "a transaction can begin before the reboot"
        assert not device.charging, "the reboot ends a transaction"
        return device.restarted(boots=True)
    what = device.work(order)
    if what is not None:
        return update, device.take(update, what)
    return device.restarted(boots=False) if isinstance(order, command.Install) else (update, rest)


def judge(device: Device, update: Update) -> None:
    """What holds at any time."""
    assert_legal(device.told)
    assert device.installations <= 1
    if "Installed" in device.told:
        assert "FirmwareUpdated" in device.events
    if "InvalidSignature" in device.told:
        assert "InvalidFirmwareSignature" in device.events
    if update.state is State.INSTALLED:
        assert device.installations == 1


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    policy=POLICIES,
    wanted=REQUESTS,
    genuine=st.booleans(),
    charging=st.booleans(),
    calm=st.integers(0, 16),
    data=st.data(),
)
def test_an_update_tells_the_truth_and_ends(
    policy: Policy, wanted: Any, genuine: bool, charging: bool, calm: int, data: Any
) -> None:
    """It goes well for some steps, so that trouble strikes late ones as often as early ones."""
    device = Device(Chance(data), policy, genuine)
    device.charging = charging
    live(device, Update.of(wanted, policy), calm)


def live(device: Device, update: Update, calm: int) -> None:
    """An update from its answer to its end."""
    device.snapshot = update.snapshot()
    orders = device.take(update, event.Begun(NOW, held=device.chance.picks(False, True)))
    for step in range(MAX_STEPS):
        device.chance.kind = step < calm
        update, orders = strike(device, update, orders)
        judge(device, update)
        if not orders:
            break
        update, orders = go_on(device, update, orders)
        judge(device, update)
    device.chance.kind = True
    device.now += timedelta(days=1)
    end(device, update, orders)


def end(device: Device, update: Update, orders: Sequence[Command]) -> None:
    """Once nothing strikes any more the update ends, and the world is as it says."""
    for _ in range(ENOUGH_STEPS):
        if not orders:
            break
        update, orders = go_on(device, update, list(orders))
        judge(device, update)
    assert update.is_over
    assert not device.held
    if update.state is State.INSTALLED:
        assert (device.found.running_sha256, device.found.confirmed) == (SHA256, True)
    # Nothing more is told or done by the next starts.
    told = list(device.told)
    for _ in range(2):
        update, orders = device.restarted(boots=False)
        while orders:
            update, orders = go_on(device, update, list(orders))
    assert device.told == told


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(policy=POLICIES, wanted=REQUESTS, steps=st.integers(0, 15), data=st.data())
def test_a_second_request_silences_the_first(policy: Policy, wanted: Any, steps: int, data: Any) -> None:
    device = Device(Chance(data), policy, genuine=True)
    update = Update.of(wanted, policy)
    orders = device.take(update, event.Begun(NOW, held=False))
    for _ in range(steps):
        if not orders:
            break
        update, orders = go_on(device, update, orders)
    if update.is_over or update.stopping in (Stopping.SOON, Stopping.NEVER):
        return
    told, installations = list(device.told), device.installations
    orders = device.take(update, event.Stopped())
    while orders:
        update, orders = go_on(device, update, orders)
    assert (device.told, device.installations, device.held) == (told, installations, False)
    assert not Update.restore(device.snapshot, policy).expects_restart


SEEDS = 3000
NOT_WALKED = {
    *((state, event.Stopped) for state in State),  # a second request: above
    (State.ACCEPTED, event.Restarted),  # a walk begins with the answer
    (State.ACCEPTED, event.JobFailed),
    *((state, event.JobFailed) for state in RECORDING),  # what is recorded there is so
    (State.RECORDING_ROLL_BACK, event.EventRecorded),  # a device of these tests does not go back on what it was told
    (State.RECORDING_ROLL_BACK, event.Restarted),
}


def test_walks_take_every_row_of_the_table() -> None:
    """Long walks, late blows: what holds at any time is looked at in every state, behind every event."""
    taken: set[tuple[State, type[Event]]] = set()
    for seed in range(SEEDS):
        dice = random.Random(seed)  # noqa: S311 - nothing secret
        policy = Policy(
            charging_during_install=dice.random() < 0.5,
            max_wait=dice.choice([None, HOUR]),
            retries=dice.randrange(3),
        )
        retrieve, install = dice.choice([-HOUR, HOUR]), dice.choice([None, -HOUR, 2 * HOUR])
        wanted = request(retrieve_date_time=NOW + retrieve, install_date_time=install and NOW + install)
        device = Device(Dice(seed), policy, genuine=dice.random() < 0.8)
        device.charging = dice.random() < 0.5
        live(device, Update.of(wanted, policy), calm=dice.randrange(17))
        taken |= device.taken
    assert set(TRANSITIONS) - taken == NOT_WALKED & set(TRANSITIONS)
