"""Whose firmware is installed: judged with the roots, the clock and the policy that this Charge Point has."""

import base64
import functools
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from chargepoint.clock import Clock
from chargepoint.firmware_trust import FirmwareTrust
from chargepoint.foundation import Foundation, open_foundation
from chargepoint.setting_table import Revocation
from chargepoint.settings import load
from security.errors import FetchFailed, StorageFailed
from security.inquiry import Question
from security.revocation import RevocationCheck
from security.revocation_cache import RevocationCache
from security.signature import SignatureResult
from security.signing_certificate import SigningCertificateResult
from security.store import CaDomain, CertificateStore
from tests.agent_process import Tables, write_config
from tests.pki import DAY, NOW, Made, make, make_root, rsa_key
from tests.statements import REVOKED, UNKNOWN, naming_ocsp, ocsp_answer

MAKER = make_root("Example Maker Root", organisation="Example Maker")
OPERATOR = make_root("Example CPO Root")
OCSP = naming_ocsp("http://ca.example.com/")
SIGNING = make("Example Maker firmware", organisation="Example Maker", issuer=MAKER, extensions=(OCSP,))
IMAGE = b"firmware 1.1.0"


class Responder:
    """Counts the questions and gives one answer; none where it is None."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer
        self.questions = 0

    async def __call__(self, _: Question) -> bytes:
        self.questions += 1
        if self.answer is None:
            raise FetchFailed("nobody there")
        return self.answer


def trust(
    directory: Path,
    responder: Responder | None = None,
    *,
    policy: Revocation = "soft",
    at: datetime = NOW,
    clock: Clock | None = None,
) -> FirmwareTrust:
    """A trust with the maker's root and the operator's, each in its domain."""
    store = CertificateStore.open(directory / "certificates")
    assert store.install_root(CaDomain.MANUFACTURER, MAKER.pem, at).accepted
    assert store.install_root(CaDomain.CENTRAL_SYSTEM, OPERATOR.pem, at).accepted
    check = functools.cache(
        lambda: RevocationCheck(responder or Responder(), RevocationCache(directory / "revocation"))
    )
    return FirmwareTrust(store, clock or Clock(system=lambda: at), check, policy=policy, accept_pkcs1=False)


@pytest.mark.parametrize("policy", ["off", "soft", "hard"])
async def test_a_good_certificate_is_accepted_under_each_policy(policy: Revocation, tmp_path: Path) -> None:
    responder = Responder(ocsp_answer(SIGNING, MAKER))
    assert (await trust(tmp_path, responder, policy=policy).judge(SIGNING.pem)).accepted
    assert responder.questions == (policy != "off")


@pytest.mark.parametrize("policy", ["soft", "hard"])
async def test_a_revoked_one_is_refused(policy: Revocation, tmp_path: Path) -> None:
    verdict = await trust(tmp_path, Responder(ocsp_answer(SIGNING, MAKER, REVOKED)), policy=policy).judge(SIGNING.pem)
    assert verdict.result is SigningCertificateResult.REVOKED
    assert "revoked since 2030-05-31" in verdict.reason


@pytest.mark.parametrize("answer", [None, b"<html>", ocsp_answer(SIGNING, MAKER, UNKNOWN)])
async def test_where_nobody_knows_soft_accepts_with_a_line_and_hard_refuses(
    answer: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await trust(tmp_path, Responder(answer)).judge(SIGNING.pem)).accepted
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "it is not known whether it is revoked, it is accepted" in record.getMessage()
    verdict = await trust(tmp_path, Responder(answer), policy="hard").judge(SIGNING.pem)
    assert verdict.result is SigningCertificateResult.INVALID


async def test_nobody_is_asked_about_a_certificate_that_is_refused_anyway(tmp_path: Path) -> None:
    responder = Responder(ocsp_answer(SIGNING, MAKER, REVOKED))
    ours = trust(tmp_path, responder, at=NOW + 400 * DAY)
    expired = await ours.judge(SIGNING.pem)
    by_the_operator = await ours.judge(make(organisation="Example", issuer=OPERATOR, extensions=(OCSP,)).pem)
    garbage = await ours.judge("garbage")
    assert {each.result for each in (expired, by_the_operator, garbage)} == {SigningCertificateResult.INVALID}
    assert responder.questions == 0


async def test_an_answer_is_used_again_after_a_restart(tmp_path: Path) -> None:
    assert (await trust(tmp_path, Responder(ocsp_answer(SIGNING, MAKER)), policy="hard").judge(SIGNING.pem)).accepted
    silent = Responder()
    assert (await trust(tmp_path, silent, policy="hard").judge(SIGNING.pem)).accepted
    assert silent.questions == 0


async def test_a_root_that_is_gone_vouches_no_more(tmp_path: Path) -> None:
    ours = trust(tmp_path, policy="off")
    assert (await ours.judge(SIGNING.pem)).accepted
    store = CertificateStore.open(tmp_path / "certificates")
    store.delete_root(store.hash_data(CaDomain.MANUFACTURER)[0])
    ours = FirmwareTrust(
        store, Clock(system=lambda: NOW), lambda: pytest.fail("asked"), policy="off", accept_pkcs1=False
    )
    assert not (await ours.judge(SIGNING.pem)).accepted


async def test_a_clock_that_is_not_set_judges_no_dates(tmp_path: Path) -> None:
    ours = trust(tmp_path, policy="off", clock=Clock(NOW, system=lambda: datetime(1970, 1, 1, tzinfo=UTC)))
    old = make(organisation="Example Maker", issuer=MAKER, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    assert (await ours.judge(old.pem)).accepted
    assert not (await trust(tmp_path, policy="off").judge(old.pem)).accepted


def signed(made: Made, *, pkcs1: bool = False) -> str:
    if isinstance(made.key, rsa.RSAPrivateKey):
        kind = padding.PKCS1v15() if pkcs1 else padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return base64.b64encode(made.key.sign(IMAGE, kind, hashes.SHA256())).decode()
    assert isinstance(made.key, ec.EllipticCurvePrivateKey)
    return base64.b64encode(made.key.sign(IMAGE, ec.ECDSA(hashes.SHA256()))).decode()


async def test_an_image_is_verified_from_the_disk_and_from_its_digest(tmp_path: Path) -> None:
    ours, image = trust(tmp_path), tmp_path / "image"
    image.write_bytes(IMAGE)
    for of in (image, hashlib.sha256(IMAGE).digest()):
        assert (await ours.verify(of, signed(SIGNING), SIGNING.pem)).verified
    image.write_bytes(IMAGE + b"\0")
    for of in (image, hashlib.sha256(image.read_bytes()).digest()):
        assert (await ours.verify(of, signed(SIGNING), SIGNING.pem)).result is SignatureResult.WRONG


async def test_a_certificate_that_cannot_be_read_verifies_nothing(tmp_path: Path) -> None:
    outcome = await trust(tmp_path).verify(bytes(32), signed(SIGNING), "garbage")
    assert outcome.result is SignatureResult.UNSUPPORTED_ALGORITHM
    assert outcome.reason == "the signing certificate cannot be read: no certificate in PEM was found"


async def test_an_image_that_is_gone_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        await trust(tmp_path).verify(tmp_path / "image", signed(SIGNING), SIGNING.pem)


@asynccontextmanager
async def configured(directory: Path, tables: Tables | None = None) -> AsyncIterator[Foundation]:
    """The trust as the agent makes it of config.toml, with the maker's root provisioned."""
    root = make_root("Example Maker Root", key=MAKER.key, **_today())
    (directory / "maker.pem").write_text(root.pem)
    given: dict[str, dict[str, Any]] = {"provisioning": {"manufacturer_roots": ["maker.pem"]}, **(tables or {})}  # type: ignore[dict-item]
    async with open_foundation(load(write_config(directory, "ws://127.0.0.1:1/ocpp", given))) as foundation:
        yield foundation


def _today() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "organisation": "Example Maker",
        "not_before": now - timedelta(days=1),
        "not_after": now + timedelta(days=9),
    }


def _of_today(key: Any = None, extensions: tuple[x509.ExtensionType, ...] = ()) -> Made:
    issuer = make_root("Example Maker Root", key=MAKER.key, **_today())
    return make(issuer=issuer, key=key, extensions=extensions, **_today())


async def test_the_switch_of_config_toml_takes_pkcs1(tmp_path: Path) -> None:
    made = _of_today(rsa_key())
    digest, signature = hashlib.sha256(IMAGE).digest(), signed(made, pkcs1=True)
    async with configured(tmp_path) as foundation:
        outcome = await foundation.firmware_trust.verify(digest, signature, made.pem)
        assert outcome.result is SignatureResult.UNSUPPORTED_ALGORITHM
    async with configured(tmp_path, {"interop": {"firmware_pkcs1": True}}) as foundation:
        assert (await foundation.firmware_trust.verify(digest, signature, made.pem)).verified


@pytest.mark.parametrize(("policy", "accepted"), [("off", True), ("soft", True), ("hard", False)])
async def test_the_policy_of_config_toml_decides_where_nobody_answers(
    policy: str, accepted: bool, tmp_path: Path
) -> None:
    made = _of_today(extensions=(naming_ocsp("http://127.0.0.1:1/"),))
    async with configured(tmp_path, {"security": {"revocation_firmware": policy}}) as foundation:
        assert (await foundation.firmware_trust.judge(made.pem)).accepted is accepted
