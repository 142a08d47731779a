"""SignCertificate.req is owed until it has its answer, whatever the link does."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chargepoint import request_delivery
from chargepoint.payload import call, call_result, enums
from chargepoint.request_delivery import RequestDelivery
from chargepoint.rpc_port import CallErrorReceived, CallTimedOut, ConnectionLost
from security import durable
from security.enrolment import Enrolment
from security.enrolment_state import Stage
from security.errors import StorageFull
from security.keys import FileKeys
from security.store import CertificateStore

ACCEPTED = call_result.SignCertificate(status=enums.GenericStatus.accepted)
REJECTED = call_result.SignCertificate(status=enums.GenericStatus.rejected)


@pytest.fixture
def enrolment(tmp_path: Path) -> Enrolment:
    enrolment = Enrolment.open(CertificateStore.open(tmp_path / "certificates"), FileKeys())
    ask(enrolment)
    return enrolment


@pytest.fixture(autouse=True)
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_delivery, "RETRY", timedelta())


def ask(enrolment: Enrolment) -> None:
    enrolment.want(None, triggered=True)
    enrolment.make_request(serial_number="SN-0001", organisation="Example CPO")


def stage(enrolment: Enrolment) -> Stage | None:
    return enrolment.state.request.stage if enrolment.state.request else None


class Link:
    """A connection that answers what the test says, and is lost when there is nothing left to say."""

    def __init__(self, *answers: object) -> None:
        self._answers = iter(answers)
        self.sent: list[str] = []

    async def send(self, request: call.SignCertificate) -> Any:
        self.sent.append(request.csr)
        answer = next(self._answers, ConnectionLost("gone"))
        if isinstance(answer, Exception):
            raise answer
        return answer


def delivery_of(enrolment: Enrolment, *, triggered: bool = True) -> RequestDelivery:
    return RequestDelivery(enrolment, triggered=triggered, tell_connected=lambda: None)


async def deliver(delivery: RequestDelivery, link: Link) -> None:
    """Deliver until nothing more is said or the link is lost."""
    task = asyncio.create_task(delivery.deliver(link.send))
    await asyncio.wait([task], timeout=0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("answer", "after"), [(ACCEPTED, Stage.ANSWERED), (REJECTED, Stage.ENDED)])
async def test_an_answer_ends_the_duty(enrolment: Enrolment, answer: Any, after: Stage) -> None:
    link = Link(answer)
    await deliver(delivery_of(enrolment), link)
    assert len(link.sent) == 1
    assert stage(enrolment) is after


async def test_silence_says_nothing(enrolment: Enrolment) -> None:
    link = Link(CallTimedOut("silent"), CallTimedOut("silent"), ACCEPTED)
    await deliver(delivery_of(enrolment), link)
    assert len(link.sent) == 3
    assert len(set(link.sent)) == 1
    assert stage(enrolment) is Stage.ANSWERED


async def test_a_lost_link_leaves_it_owed(enrolment: Enrolment) -> None:
    delivery = delivery_of(enrolment)
    await deliver(delivery, Link())
    assert stage(enrolment) is Stage.OWED
    await deliver(delivery, Link(ACCEPTED))
    assert stage(enrolment) is Stage.ANSWERED


async def test_a_callerror_has_it_rest_until_the_next_connection(enrolment: Enrolment) -> None:
    delivery = delivery_of(enrolment)
    link = Link(CallErrorReceived("SignCertificate", "NotImplemented", ""), ACCEPTED)
    await deliver(delivery, link)
    assert len(link.sent) == 1
    assert stage(enrolment) is Stage.OWED
    await deliver(delivery, link)
    assert stage(enrolment) is Stage.ANSWERED


async def test_an_answer_that_cannot_be_kept_is_asked_for_again(
    enrolment: Enrolment, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = durable.write, [StorageFull("enrolment.json", "full")]

    def fail_once(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        if failures:
            raise failures.pop()
        write(path, data, mode=mode)

    monkeypatch.setattr(durable, "write", fail_once)
    link = Link(ACCEPTED, ACCEPTED)
    await deliver(delivery_of(enrolment), link)
    assert len(link.sent) == 2
    assert stage(enrolment) is Stage.ANSWERED


async def test_each_lane_has_its_own_requests(enrolment: Enrolment) -> None:
    link = Link(ACCEPTED)
    await deliver(delivery_of(enrolment, triggered=False), link)
    assert link.sent == []
