"""What one Charge Point was ordered to do at length - upload a log, update its firmware - and what it says of it.

A Central System that remembers its orders can see when a status

- lacks the requestId of its order (N01.FR.12, L01.FR.21), or has one that was never given out (N01.FR.07, L01.FR.10),
- says Idle though nobody has asked (FirmwareStatusEnumType, UploadLogStatusEnumType),
- cannot follow the status before it (`AFTER`),
- belongs to an order that the Charge Point has canceled for the sake of a newer one (N01.FR.11, L01.FR.26).

Statuses are sent at least once, and a lost connection hides which have arrived. Therefore only what is certain is
found: a repetition never is, and a canceled order is held to its silence only as long as the connection lasts on which
it was given. An order counts from the moment it is sent, for its answer may be lost.

The state belongs to the Charge Point, not to a connection.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from chargepoint.simulation.finding import Rule
from chargepoint.simulation.frame import Call, Payload

MAX_ORDERS: Final = 10_000  #: orders remembered of each kind; a soak run of a week gives one a minute

_FAILURES: Final = frozenset({"InstallationFailed", "InstallVerificationFailed", "InvalidSignature"})
_UPLOAD_ENDS: Final = frozenset(
    {"BadMessage", "NotSupportedOperation", "PermissionDenied", "Uploaded", "UploadFailure"}
)

AFTER: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "SignedFirmwareStatusNotification": {
        # What may be left out: the states before the download, Installing (L01.FR.22), and InstallRebooting.
        "": frozenset({"DownloadFailed", "DownloadPaused", "DownloadScheduled", "Downloading"}),
        "DownloadScheduled": frozenset({"DownloadFailed", "DownloadPaused", "Downloading"}),
        "DownloadPaused": frozenset({"DownloadFailed", "DownloadScheduled", "Downloading"}),
        "Downloading": frozenset({"DownloadFailed", "DownloadPaused", "DownloadScheduled", "Downloaded"}),
        "Downloaded": frozenset({"SignatureVerified"}) | _FAILURES,
        "SignatureVerified": frozenset({"InstallRebooting", "InstallScheduled", "Installed", "Installing"}) | _FAILURES,
        "InstallScheduled": frozenset({"InstallRebooting", "Installed", "Installing"}) | _FAILURES,
        "Installing": frozenset({"InstallRebooting", "Installed"}) | _FAILURES,
        "InstallRebooting": frozenset({"Installed", "Installing"}) | _FAILURES,
        "Installed": frozenset(),
        "DownloadFailed": frozenset(),
        **dict.fromkeys(_FAILURES, frozenset()),
    },
    "LogStatusNotification": {
        "": frozenset({"Uploading"}) | (_UPLOAD_ENDS - {"Uploaded"}),
        "Uploading": _UPLOAD_ENDS,
        **dict.fromkeys(_UPLOAD_ENDS, frozenset()),
    },
}
"""Which status may follow which, by the action that tells it; "" stands before the first."""

_TOLD_BY: Final = {
    "GetLog": "LogStatusNotification",
    "SignedUpdateFirmware": "SignedFirmwareStatusNotification",
}
_TRIGGERED: Final = {
    "DiagnosticsStatusNotification": ("DiagnosticsStatusNotification",),
    "FirmwareStatusNotification": ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
    "LogStatusNotification": ("LogStatusNotification",),
}
_WITHOUT_ID: Final = {
    "DiagnosticsStatusNotification": "GetDiagnostics",
    "FirmwareStatusNotification": "UpdateFirmware",
}
_TRIGGERS: Final = ("TriggerMessage", "ExtendedTriggerMessage")
_AGREED: Final = ("Accepted", "AcceptedCanceled")


@dataclass(slots=True)
class _Order:
    """One order.

    Attributes:
        connection: number of the connection that it was given on.
        last: the status told last, "" before the first.
        told: all statuses told.
        canceled_on: number of the connection on which it was canceled, None while it stands.
    """

    connection: int
    last: str = ""
    told: set[str] = field(default_factory=set)
    canceled_on: int | None = None


class Orders:
    """The orders of one Charge Point.

    A test that stands in for a Central System which gave an order earlier says so by `remember`.
    """

    def __init__(self) -> None:
        self._given: dict[str, OrderedDict[int, _Order]] = {action: OrderedDict() for action in AFTER}
        self._asked: set[str] = set()  # actions of orders without a requestId
        self._triggered: set[str] = set()  # actions that are asked for and have not repeated anything since
        self._idle: set[str] = set()  # actions whose last status was an Idle that had been asked for

    def remember(self, action: str, request_id: int, *, connection: int = 0) -> None:
        """Count an order (GetLog, SignedUpdateFirmware) as given; one with the same requestId begins anew."""
        orders = self._given[_TOLD_BY[action]]
        orders[request_id] = _Order(connection)
        orders.move_to_end(request_id)
        if len(orders) > MAX_ORDERS:
            orders.popitem(last=False)

    def note_sent(self, call: Call, connection: int) -> None:
        """Take over a CALL that is being sent."""
        request_id = call.payload.get("requestId")
        if call.action in _TOLD_BY and isinstance(request_id, int):
            self.remember(call.action, request_id, connection=connection)
        elif call.action in _TRIGGERS:
            self._triggered.update(_TRIGGERED.get(str(call.payload.get("requestedMessage")), ()))
        else:
            self._asked.add(call.action)

    def note_answer(self, call: Call, answer: Payload, connection: int) -> None:
        """Take over the CALLRESULT to it."""
        request_id, status = call.payload.get("requestId"), answer.get("status")
        if call.action not in _TOLD_BY or not isinstance(request_id, int):
            return
        orders = self._given[_TOLD_BY[call.action]]
        if status not in _AGREED:
            orders.pop(request_id, None)
        if status == "AcceptedCanceled":  # N01.FR.11, L01.FR.26
            for number, order in orders.items():
                if number != request_id and order.canceled_on is None:
                    order.canceled_on = connection

    def breaches(self, action: str, notification: Payload, connection: int) -> Iterator[tuple[Rule, str]]:
        """Yield what a status says that it must not, and take it over."""
        if action not in AFTER and action not in _WITHOUT_ID:
            return
        status, request_id = str(notification["status"]), notification.get("requestId")
        is_triggered = action in self._triggered
        if status == "Idle":
            if not is_triggered and action not in self._idle:
                yield Rule.UNASKED_IDLE, action
            self._triggered.discard(action)
            self._idle.add(action)
            return
        self._idle.discard(action)
        if action in _WITHOUT_ID:
            if _WITHOUT_ID[action] not in self._asked:
                yield Rule.UNASKED_STATUS, f"{action} {status}"
        elif request_id is None:
            if not self._may_lack_id(action, status, is_triggered=is_triggered):
                yield Rule.MISSING_REQUEST_ID, f"{action} {status}"
        elif (order := self._given[action].get(request_id)) is None:
            yield Rule.UNASKED_STATUS, f"{action} {status} of requestId {request_id}"
        else:
            yield from self._judge(order, action, status, connection, is_triggered=is_triggered)

    def _may_lack_id(self, action: str, status: str, *, is_triggered: bool) -> bool:
        """Whether a status other than Idle may come without a requestId.

        N01.FR.12: once triggered, while no upload is under way; L01.FR.21: never.
        """
        return action == "LogStatusNotification" and is_triggered and status != "Uploading"

    def _judge(
        self, order: _Order, action: str, status: str, connection: int, *, is_triggered: bool
    ) -> Iterator[tuple[Rule, str]]:
        if status == order.last or (is_triggered and status in order.told):
            self._triggered.discard(action)
            return  # said once more
        step = f"{order.last or 'the order'} -> {status}"
        if order.canceled_on == connection == order.connection and status not in order.told:
            yield Rule.STATUS_OF_CANCELED, f"{action} {step}"
        elif status not in AFTER[action][order.last]:
            yield Rule.STATUS_ORDER, f"{action} {step}"
        order.last = status
        order.told.add(status)
