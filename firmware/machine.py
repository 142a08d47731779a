"""The machine of a firmware update (L01): which states follow each other, what is told, and what is to be done in each.

One machine is one update: it begins with an accepted SignedUpdateFirmware.req and ends in one of `ENDS`. A second
request is a second machine; the first one gets `Stopped`.

    accepted -> [scheduled] -> downloading <-> [waiting for the next try, paused] -> downloaded -> signature verified
             -> [scheduled] -> [waiting for transactions] -> checking -> installing
             -> [waiting for transactions] -> announcing the reboot -> rebooting -> on trial -> recording -> installed

The rules that hold whatever happens, and where each is kept:

- *Every new status is told, once* (L01.FR.01): `_enter` reports the status of a state that differs from the one in
  force. A state that has none of its own, and one that is entered again after a restart, tells nothing.
- *Nothing is installed that was not verified in this very process*: `INSTALLING` is entered from `CHECKING` alone, and
  `CHECKING`, begun anew by each restart, judges the certificate, verifies the signature over the file as it lies on the
  disk now, and compares its hash with that of the download. The hash goes with the order to install.
- *At most one completed installation*: a restart during `INSTALLING` asks the installer what it holds before anything
  is installed again (`after_cut`).
- *Installed means that it runs and stays*: the new image runs, and was marked good. A boot into the old firmware ends
  in InstallationFailed (`after_boot`), also when the boot loader gave the new one up on trial.
- *A security event is never lost* (L01.FR.02, L01.FR.03, FirmwareUpdated): it is recorded in a state of its own, before
  the end that it belongs to. A kill there records it once more.
- *Connectors are held* (L01.FR.07, L01.FR.19) from the wait for transactions on until nothing can interrupt charging
  any more; what holds is a property of the state, so a restart holds them again.
- *Nothing goes on for ever by failing*: tries, installations, reboots, markings and starts are counted.

Time arrives in events. A restart is an event like others. An event without a row in `TRANSITIONS` raises
`IllegalEvent` and changes nothing. Pure: what a state wants done is returned as commands (firmware/command.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from firmware import choice, command, event
from firmware.command import Command
from firmware.event import Event
from firmware.order import ASKING, HOLDING, HOLDING_UNLESS_CHARGING, ORDERS, RECORDING
from firmware.record import Policy, Record
from firmware.request import FirmwareRequest
from firmware.state import ENDS, STATUS, STOPPING, State, Stopping
from firmware.status import FirmwareStatus

MAX_STARTS: Final = 2  #: starts; a snapshot that has killed so many in a row is not tried again


class IllegalEvent(RuntimeError):
    """Raised for an event that the present state has no row for; the machine is unchanged."""

    def __init__(self, state: State, what: Event) -> None:
        super().__init__(f"{type(what).__name__} has no place in the state {state.name}")


Choose = Callable[[Record, Policy, Any], State]
"""Decides between the states of a row by what was known before the event, and the event (firmware/choice.py)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the table: the states that may follow, and who chooses where there are several."""

    to: tuple[State, ...]
    choose: Choose | None = None


class Update:
    """One firmware update.

    Args:
        record: all that is known of it.
        policy: what config.toml says now.
    """

    def __init__(self, record: Record, policy: Policy) -> None:
        self._record = record
        self.policy: Final = policy

    @classmethod
    def of(cls, request: FirmwareRequest, policy: Policy) -> Self:
        """Accept a request; nothing is told or done before `Begun`."""
        return cls(Record(request=request), policy)

    @classmethod
    def restore(cls, snapshot: Mapping[str, Any], policy: Policy) -> Self:
        """Make the machine of a snapshot again.

        Raises:
            ValueError: it is no snapshot of this release or an earlier one.
        """
        return cls(Record.from_json(snapshot), policy)

    def snapshot(self) -> dict[str, Any]:
        """Return all that `restore` needs, as plain JSON."""
        return self._record.to_json()

    @property
    def record(self) -> Record:
        """What is known of this update."""
        return self._record

    @property
    def request(self) -> FirmwareRequest:
        """What the Central System wants."""
        return self._record.request

    @property
    def state(self) -> State:
        """Where it is."""
        return self._record.state

    @property
    def status(self) -> FirmwareStatus | None:
        """The status in force on the wire, None before the first."""
        return self._record.status

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way."""
        return self.state in ENDS

    @property
    def stopping(self) -> Stopping:
        """What it takes to stop it now; raises KeyError where nothing is under way."""
        return STOPPING[self.state]

    @property
    def expects_restart(self) -> bool:
        """Whether a start of the agent is an event for it; else the update is over for good."""
        return (self.state, event.Restarted) in TRANSITIONS

    @property
    def asks_installer(self) -> bool:
        """Whether `Restarted` has to bring what the installer says."""
        return self.state in ASKING

    def count_start(self) -> bool:
        """Count a start of the agent with this snapshot, to be kept before anything is done with it.

        Returns:
            Whether it may be tried: False where it has killed the starts before. What is only to be recorded may
            always be, so that no security event is lost.
        """
        if self._record.starts >= MAX_STARTS and self.state not in RECORDING:
            return False
        self._record = replace(self._record, starts=self._record.starts + 1)
        return True

    def settle(self) -> bool:
        """Take note that the agent lives on; returns whether that is new, and to be kept."""
        was = self._record.starts
        self._record = replace(self._record, starts=0)
        return was > 0

    def receive(self, what: Event) -> list[Command]:
        """Take in what has happened; returns what is to be done, in order.

        Raises:
            IllegalEvent: the present state has no row for it; nothing has changed.
        """
        step = TRANSITIONS.get((self.state, type(what)))
        if step is None:
            raise IllegalEvent(self.state, what)
        target = step.choose(self._record, self.policy, what) if step.choose else step.to[0]
        was = self.state
        self._record = self._record.after(what, target, self.policy)
        return self._enter(was, what)

    def work(self) -> list[Command]:
        """Return what the present state wants done, for once more."""
        return [*([command.HoldConnectors()] if self._holds(self.state) else []), *self._orders()]

    def _enter(self, was: State, what: Event) -> list[Command]:
        commands: list[Command] = []
        status = STATUS.get(self.state)
        if status is not None and status is not self.status:  # L01.FR.01
            self._record = replace(self._record, status=status)
            commands.append(command.Report(status, self.request.request_id))  # L01.FR.10
        holds, held = self._holds(self.state), self._holds(was)
        if holds and (not held or isinstance(what, event.Restarted)):
            commands.append(command.HoldConnectors())  # L01.FR.07, L01.FR.19
        if (held and not holds) or was is State.ACCEPTED:  # whose predecessor may have left them held
            commands.append(command.ReleaseConnectors())
        if was is State.ACCEPTED or (self.is_over and was not in ENDS):
            commands.append(command.DiscardImage())  # before the first download too: another update may have left one
        return [*commands, *self._orders()]

    def _orders(self) -> list[Command]:
        order = ORDERS.get(self.state)
        return [order(self._record)] if order else []

    def _holds(self, state: State) -> bool:
        return state in HOLDING or (state in HOLDING_UNLESS_CHARGING and not self.policy.charging_during_install)


def _go(to: State) -> Step:
    return Step((to,))


def _one_of(choose: Choose, *to: State) -> Step:
    return Step(to, choose)


_S: Final = State
_E: Final = event

_ANEW: Final = (
    _S.DOWNLOAD_SCHEDULED,
    _S.DOWNLOAD_HELD,
    _S.DOWNLOADING,
    _S.RETRY_WAIT,
    _S.DOWNLOAD_PAUSED,
    _S.DOWNLOADED,
    _S.SIGNATURE_VERIFIED,
    _S.INSTALL_SCHEDULED,
    _S.WAITING_FOR_TRANSACTIONS,
    _S.RECORDING_SUCCESS,
    _S.RECORDING_SIGNATURE,
    _S.RECORDING_CERTIFICATE,
    _S.RECORDING_ROLL_BACK,
)
"""What is simply begun anew after a restart."""

_FAILED_ENDS: Final[Mapping[State, State]] = {
    **dict.fromkeys((_S.ACCEPTED, _S.DOWNLOAD_SCHEDULED, _S.DOWNLOAD_HELD, _S.DOWNLOADING), _S.DOWNLOAD_FAILED),
    **dict.fromkeys((_S.RETRY_WAIT, _S.DOWNLOAD_PAUSED), _S.DOWNLOAD_FAILED),
    _S.DOWNLOADED: _S.INSTALL_VERIFICATION_FAILED,
    **dict.fromkeys((_S.SIGNATURE_VERIFIED, _S.INSTALL_SCHEDULED, _S.WAITING_FOR_TRANSACTIONS), _S.INSTALLATION_FAILED),
    _S.CHECKING: _S.INSTALL_VERIFICATION_FAILED,
    # From here on an image may wait for the next boot: it is taken back first, so that what is told stays true.
    **dict.fromkeys((_S.INSTALLING, _S.FOLLOWING, _S.WAITING_FOR_REBOOT, _S.INSTALL_REBOOTING), _S.WITHDRAWING),
    _S.REBOOTING: _S.WITHDRAWING,
    _S.WITHDRAWING: _S.INSTALLATION_FAILED,
    _S.PROBATION: _S.INSTALLATION_FAILED,
    # What is recorded there is so, whether it can be recorded or not.
    _S.RECORDING_SUCCESS: _S.INSTALLED,
    _S.RECORDING_SIGNATURE: _S.INVALID_SIGNATURE,
    _S.RECORDING_CERTIFICATE: _S.INSTALL_VERIFICATION_FAILED,
    _S.RECORDING_ROLL_BACK: _S.ROLLED_BACK,
}
"""Where an update ends that cannot go on."""

_AFTER_CUT: Final = _one_of(
    choice.after_cut,
    _S.FOLLOWING,
    _S.PROBATION,
    _S.WAITING_FOR_REBOOT,
    _S.WAITING_FOR_TRANSACTIONS,
    _S.CHECKING,
    _S.INSTALLATION_FAILED,
)
_AFTER_BOOT: Final = _one_of(
    choice.after_boot, _S.PROBATION, _S.WAITING_FOR_REBOOT, _S.WITHDRAWING, _S.INSTALLATION_FAILED
)
_TO_INSTALL: Final = (_S.WAITING_FOR_TRANSACTIONS, _S.CHECKING)

TRANSITIONS: Final[Mapping[tuple[State, type[Event]], Step]] = {
    (_S.ACCEPTED, _E.Begun): _one_of(choice.first, _S.DOWNLOADING, _S.DOWNLOAD_SCHEDULED),
    (_S.ACCEPTED, _E.Restarted): _one_of(choice.first, _S.DOWNLOADING, _S.DOWNLOAD_SCHEDULED),
    (_S.DOWNLOAD_SCHEDULED, _E.TimeCame): _one_of(
        choice.at_retrieve_time, _S.DOWNLOADING, _S.DOWNLOAD_HELD, _S.DOWNLOAD_SCHEDULED
    ),
    (_S.DOWNLOAD_HELD, _E.HoldReleased): _go(_S.DOWNLOADING),
    (_S.DOWNLOADING, _E.DownloadHeldBack): _go(_S.DOWNLOAD_PAUSED),
    (_S.DOWNLOADING, _E.DownloadInterrupted): _one_of(choice.after_try, _S.RETRY_WAIT, _S.DOWNLOAD_FAILED),
    (_S.DOWNLOADING, _E.DownloadCompleted): _go(_S.DOWNLOADED),
    (_S.RETRY_WAIT, _E.TimeCame): _one_of(choice.at_retry, _S.DOWNLOADING, _S.DOWNLOAD_PAUSED, _S.RETRY_WAIT),
    (_S.DOWNLOAD_PAUSED, _E.HoldReleased): _go(_S.DOWNLOADING),
    (_S.DOWNLOADED, _E.SignatureAccepted): _go(_S.SIGNATURE_VERIFIED),  # L01.FR.04, L01.FR.12
    (_S.DOWNLOADED, _E.SignatureRefused): _go(_S.RECORDING_SIGNATURE),
    (_S.SIGNATURE_VERIFIED, _E.TimeCame): _one_of(choice.at_install_time, _S.INSTALL_SCHEDULED, *_TO_INSTALL),
    (_S.INSTALL_SCHEDULED, _E.TimeCame): _one_of(choice.at_install_time, _S.INSTALL_SCHEDULED, *_TO_INSTALL),
    (_S.WAITING_FOR_TRANSACTIONS, _E.TransactionsEnded): _go(_S.CHECKING),  # L01.FR.06, L01.FR.18
    (_S.WAITING_FOR_TRANSACTIONS, _E.WaitExpired): _go(_S.INSTALLATION_FAILED),
    (_S.CHECKING, _E.ImageConfirmed): _go(_S.INSTALLING),  # L01.FR.09: the one way to an installation
    (_S.CHECKING, _E.SignatureRefused): _go(_S.RECORDING_SIGNATURE),
    (_S.CHECKING, _E.CertificateRefused): _go(_S.RECORDING_CERTIFICATE),
    (_S.CHECKING, _E.Restarted): _one_of(choice.before_install, *_TO_INSTALL),
    (_S.INSTALLING, _E.ImageActivated): _go(_S.PROBATION),
    (_S.INSTALLING, _E.RebootRequired): _go(_S.WAITING_FOR_REBOOT),
    (_S.INSTALLING, _E.InstallFailed): _go(_S.INSTALLATION_FAILED),
    (_S.INSTALLING, _E.VerificationFailed): _go(_S.INSTALL_VERIFICATION_FAILED),
    (_S.INSTALLING, _E.Restarted): _AFTER_CUT,
    (_S.FOLLOWING, _E.InstallFollowed): _AFTER_CUT,
    (_S.FOLLOWING, _E.Restarted): _AFTER_CUT,
    (_S.WAITING_FOR_REBOOT, _E.TransactionsEnded): _go(_S.INSTALL_REBOOTING),
    (_S.WAITING_FOR_REBOOT, _E.WaitExpired): _go(_S.WITHDRAWING),
    (_S.WAITING_FOR_REBOOT, _E.Restarted): _AFTER_BOOT,
    (_S.INSTALL_REBOOTING, _E.RebootAnnounced): _go(_S.REBOOTING),  # L01.FR.15
    (_S.INSTALL_REBOOTING, _E.Restarted): _AFTER_BOOT,
    (_S.REBOOTING, _E.Restarted): _AFTER_BOOT,
    (_S.WITHDRAWING, _E.ImageWithdrawn): _go(_S.INSTALLATION_FAILED),
    (_S.WITHDRAWING, _E.WithdrawalRefused): _one_of(
        choice.not_withdrawn, _S.WAITING_FOR_REBOOT, _S.INSTALLATION_FAILED
    ),
    (_S.WITHDRAWING, _E.Restarted): _one_of(
        choice.while_withdrawing, _S.WITHDRAWING, _S.PROBATION, _S.INSTALLATION_FAILED
    ),
    (_S.PROBATION, _E.MarkedGood): _go(_S.RECORDING_SUCCESS),
    (_S.PROBATION, _E.MarkingFailed): _one_of(choice.after_marking, _S.PROBATION, _S.INSTALLATION_FAILED),
    (_S.PROBATION, _E.Restarted): _one_of(choice.on_trial, _S.PROBATION, _S.INSTALLATION_FAILED),
    (_S.RECORDING_SUCCESS, _E.EventRecorded): _go(_S.INSTALLED),
    (_S.RECORDING_SIGNATURE, _E.EventRecorded): _go(_S.INVALID_SIGNATURE),  # L01.FR.03
    (_S.RECORDING_CERTIFICATE, _E.EventRecorded): _go(_S.INSTALL_VERIFICATION_FAILED),  # L01.FR.02
    (_S.RECORDING_ROLL_BACK, _E.EventRecorded): _go(_S.ROLLED_BACK),
    (_S.INSTALLED, _E.Restarted): _one_of(choice.still_installed, _S.INSTALLED, _S.RECORDING_ROLL_BACK),
    **{(state, _E.Restarted): _go(state) for state in _ANEW},
    **{(state, _E.JobFailed): _go(end) for state, end in _FAILED_ENDS.items()},
    **{
        (state, _E.Stopped): _go(_S.CANCELLED)  # L01.FR.26
        for state, stopping in STOPPING.items()
        if stopping not in {Stopping.SOON, Stopping.NEVER}
    },
}
"""Every legal event of every state; what is not here is illegal."""
