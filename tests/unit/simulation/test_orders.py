"""Which statuses the simulated Central System finds wrong, and which it must not."""

import pytest

from chargepoint.simulation.finding import Rule
from chargepoint.simulation.frame import Call
from chargepoint.simulation.orders import AFTER, MAX_ORDERS, Orders

FIRMWARE, LOG = "SignedFirmwareStatusNotification", "LogStatusNotification"


@pytest.fixture
def orders() -> Orders:
    return Orders()


def say(orders: Orders, action: str, status: str, request_id: int | None = None, *, connection: int = 1) -> list[Rule]:
    notification = {"status": status} | ({} if request_id is None else {"requestId": request_id})
    return [rule for rule, _ in orders.breaches(action, notification, connection)]


def order(
    orders: Orders, action: str, request_id: int, status: str | None = "Accepted", *, connection: int = 1
) -> None:
    call = Call("id", action, {"requestId": request_id})
    orders.note_sent(call, connection)
    if status is not None:
        orders.note_answer(call, {"status": status}, connection)


def trigger(orders: Orders, message: str, action: str = "ExtendedTriggerMessage") -> None:
    orders.note_sent(Call("id", action, {"requestedMessage": message}), 1)


@pytest.mark.parametrize(
    "course",
    [
        ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"],
        ["DownloadScheduled", "Downloading", "DownloadPaused", "Downloading", "DownloadPaused", "DownloadFailed"],
        ["Downloading", "Downloaded", "InvalidSignature"],
        [
            "Downloading",
            "Downloaded",
            "SignatureVerified",
            "InstallScheduled",
            "Installing",
            "InstallRebooting",
            "Installed",
        ],
        ["Downloading", "Downloaded", "SignatureVerified", "InstallRebooting", "Installing", "InstallationFailed"],
        ["Downloading", "Downloaded", "SignatureVerified", "Installed"],
        ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallVerificationFailed"],
        ["DownloadFailed"],
    ],
)
def test_every_course_of_an_update_is_legal_with_repetitions_too(orders: Orders, course: list[str]) -> None:
    order(orders, "SignedUpdateFirmware", 7)
    for connection, status in enumerate(course):
        assert say(orders, FIRMWARE, status, 7, connection=connection) == []
        assert say(orders, FIRMWARE, status, 7, connection=connection + 1) == []


@pytest.mark.parametrize("course", [["Uploading", "Uploaded"], ["Uploading", "UploadFailure"], ["PermissionDenied"]])
def test_every_course_of_an_upload_is_legal(orders: Orders, course: list[str]) -> None:
    order(orders, "GetLog", 7)
    assert [say(orders, LOG, status, 7) for status in course] == [[]] * len(course)


@pytest.mark.parametrize(
    ("action", "told_by", "course"),
    [
        ("SignedUpdateFirmware", FIRMWARE, ["Installing"]),
        ("SignedUpdateFirmware", FIRMWARE, ["Downloading", "SignatureVerified"]),
        ("SignedUpdateFirmware", FIRMWARE, ["Downloading", "Downloaded", "Installing"]),
        ("SignedUpdateFirmware", FIRMWARE, ["Downloading", "Downloaded", "InvalidSignature", "Installing"]),
        ("SignedUpdateFirmware", FIRMWARE, ["Downloading", "Downloaded", "Downloading"]),
        ("SignedUpdateFirmware", FIRMWARE, ["DownloadFailed", "Downloading"]),
        ("GetLog", LOG, ["Uploaded"]),
        ("GetLog", LOG, ["Uploading", "Uploaded", "Uploading"]),
        ("GetLog", LOG, ["UploadFailure", "Uploaded"]),
    ],
)
def test_a_status_that_cannot_follow_is_found(orders: Orders, action: str, told_by: str, course: list[str]) -> None:
    order(orders, action, 7)
    assert [say(orders, told_by, status, 7) for status in course[:-1]] == [[]] * (len(course) - 1)
    assert say(orders, told_by, course[-1], 7) == [Rule.STATUS_ORDER]


@pytest.mark.parametrize("action", sorted(AFTER))
def test_every_status_of_the_schema_is_in_the_table(action: str) -> None:
    named = set().union(*AFTER[action].values())
    assert named == AFTER[action].keys() - {""}


def test_an_end_is_an_end() -> None:
    ends = {status for status, after in AFTER[FIRMWARE].items() if not after}
    assert ends == {
        "DownloadFailed",
        "InstallationFailed",
        "InstallVerificationFailed",
        "Installed",
        "InvalidSignature",
    }


@pytest.mark.parametrize(("action", "status"), [(FIRMWARE, "Downloading"), (LOG, "Uploading")])
def test_a_status_needs_an_order_and_its_id(orders: Orders, action: str, status: str) -> None:
    assert say(orders, action, status) == [Rule.MISSING_REQUEST_ID]
    assert say(orders, action, status, 7) == [Rule.UNASKED_STATUS]


@pytest.mark.parametrize("answer", ["Rejected", "InvalidCertificate", "RevokedCertificate"])
def test_an_order_that_was_refused_has_no_status(orders: Orders, answer: str) -> None:
    order(orders, "SignedUpdateFirmware", 7, answer)
    assert say(orders, FIRMWARE, "Downloading", 7) == [Rule.UNASKED_STATUS]


def test_an_order_whose_answer_was_lost_counts(orders: Orders) -> None:
    order(orders, "GetLog", 7, status=None)
    assert say(orders, LOG, "Uploading", 7) == []


def test_an_order_of_an_earlier_central_system_can_be_remembered(orders: Orders) -> None:
    orders.remember("GetLog", 7)
    assert say(orders, LOG, "Uploading", 7) == []


def test_a_canceled_order_says_nothing_new(orders: Orders) -> None:
    order(orders, "GetLog", 7)
    assert say(orders, LOG, "Uploading", 7) == []
    order(orders, "GetLog", 8, "AcceptedCanceled")
    assert say(orders, LOG, "Uploading", 7) == []
    assert say(orders, LOG, "Uploaded", 7) == [Rule.STATUS_OF_CANCELED]
    assert say(orders, LOG, "Uploading", 8) == []


def test_what_was_on_its_way_over_a_reconnect_is_not_held_against_a_canceled_order(orders: Orders) -> None:
    order(orders, "GetLog", 7, connection=1)
    order(orders, "GetLog", 8, "AcceptedCanceled", connection=2)
    assert say(orders, LOG, "Uploading", 7, connection=2) == []
    assert say(orders, LOG, "Uploading", 8, connection=2) == []


def test_idle_answers_a_trigger_and_may_come_again(orders: Orders) -> None:
    for action, message in ((FIRMWARE, "FirmwareStatusNotification"), (LOG, LOG)):
        assert say(orders, action, "Idle") == [Rule.UNASKED_IDLE]
        trigger(orders, message)
        assert [say(orders, action, "Idle") for _ in range(2)] == [[], []]
    order(orders, "GetLog", 7)
    assert say(orders, LOG, "Uploading", 7) == []
    assert say(orders, LOG, "Idle") == [Rule.UNASKED_IDLE]


def test_a_trigger_may_bring_a_status_again_that_others_have_overtaken(orders: Orders) -> None:
    order(orders, "SignedUpdateFirmware", 7)
    trigger(orders, "FirmwareStatusNotification")
    assert [say(orders, FIRMWARE, status, 7) for status in ("Downloading", "Downloaded", "Downloading")] == [[], [], []]
    assert say(orders, FIRMWARE, "Downloading", 7) == [Rule.STATUS_ORDER]


def test_a_triggered_log_status_may_lack_its_id_while_nothing_is_under_way(orders: Orders) -> None:
    trigger(orders, LOG)
    assert say(orders, LOG, "Uploaded") == []
    trigger(orders, LOG)
    assert say(orders, LOG, "Uploading") == [Rule.MISSING_REQUEST_ID]
    trigger(orders, "FirmwareStatusNotification")
    assert say(orders, FIRMWARE, "Installed") == [Rule.MISSING_REQUEST_ID]


def test_the_statuses_without_an_id_need_an_order_too(orders: Orders) -> None:
    assert say(orders, "DiagnosticsStatusNotification", "Uploading") == [Rule.UNASKED_STATUS]
    orders.note_sent(Call("id", "GetDiagnostics", {"location": "ftp://localhost/"}), 1)
    assert say(orders, "DiagnosticsStatusNotification", "Uploading") == []
    assert say(orders, "DiagnosticsStatusNotification", "Idle") == [Rule.UNASKED_IDLE]
    trigger(orders, "DiagnosticsStatusNotification", "TriggerMessage")
    assert say(orders, "DiagnosticsStatusNotification", "Idle") == []
    assert say(orders, "FirmwareStatusNotification", "Downloading") == [Rule.UNASKED_STATUS]


def test_other_messages_are_none_of_its_business(orders: Orders) -> None:
    assert list(orders.breaches("Heartbeat", {}, 1)) == []
    orders.note_answer(Call("id", "Reset", {"type": "Soft"}), {"status": "Accepted"}, 1)


def test_the_memory_is_bounded(orders: Orders) -> None:
    for number in range(MAX_ORDERS + 1):
        orders.remember("GetLog", number)
    assert say(orders, LOG, "Uploading", 0) == [Rule.UNASKED_STATUS]
    assert say(orders, LOG, "Uploading", MAX_ORDERS) == []
