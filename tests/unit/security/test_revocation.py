import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPResponseBuilder, OCSPResponseStatus

import security.revocation
from security import durable
from security.errors import DurableError, FetchFailed
from security.inquiry import Question, RevocationStatus
from security.revocation import MAX_CERTIFICATES_ASKED, MIN_KEPT, REUSE, RevocationCheck, sources_of
from security.revocation_cache import RevocationCache
from tests.pki import DAY, NOW, Made, make, make_root
from tests.statements import HOLD, REVOKED, UNKNOWN, crl, naming_crl, naming_ocsp, ocsp_answer, subject

OCSP, LIST = "http://ca.example.com/ocsp", "http://ca.example.com/list.crl"
ROOT = make_root()
WITH_BOTH = make(issuer=ROOT, extensions=(naming_ocsp(OCSP), naming_crl(LIST)))
WITH_OCSP = make(issuer=ROOT, extensions=(naming_ocsp(OCSP),))
WITH_CRL = make(issuer=ROOT, extensions=(naming_crl(LIST),))
WITH_NEITHER = make(issuer=ROOT)
UNAUTHORIZED = OCSPResponseBuilder.build_unsuccessful(OCSPResponseStatus.UNAUTHORIZED).public_bytes(Encoding.DER)

GOOD, IS_REVOKED, NOT_KNOWN = RevocationStatus.GOOD, RevocationStatus.REVOKED, RevocationStatus.UNKNOWN


async def for_ever(_: Question) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


class World:
    """The responders: URL -> answers, the last one for ever; what is not there fails."""

    def __init__(self, answers: Mapping[str, Sequence[bytes] | Callable[[Question], Awaitable[bytes]]]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    async def __call__(self, question: Question) -> bytes:
        self.asked.append(question.url)
        answer = self.answers.get(question.url)
        if answer is None:
            raise FetchFailed("nobody there")
        if callable(answer):
            return await answer(question)
        return answer[min(self.asked.count(question.url), len(answer)) - 1]


@pytest.fixture
def cache(tmp_path: Path) -> RevocationCache:
    return RevocationCache(tmp_path / "revocation")


def path(*made: Made) -> list[bytes]:
    return [each.x509.public_bytes(Encoding.DER) for each in made]


async def find(world: World, cache: RevocationCache, leaf: Made, now: datetime | None = NOW) -> RevocationStatus:
    return (await RevocationCheck(world, cache).find(path(leaf, ROOT), now)).status


@pytest.mark.parametrize(
    ("leaf", "answers", "expected", "asked"),
    [
        (WITH_NEITHER, {}, GOOD, []),
        (WITH_OCSP, {OCSP: [ocsp_answer(WITH_OCSP, ROOT)]}, GOOD, [OCSP]),
        (WITH_OCSP, {OCSP: [ocsp_answer(WITH_OCSP, ROOT, REVOKED)]}, IS_REVOKED, [OCSP]),
        (WITH_OCSP, {OCSP: [ocsp_answer(WITH_OCSP, ROOT, UNKNOWN)]}, NOT_KNOWN, [OCSP, OCSP]),
        (WITH_OCSP, {OCSP: [UNAUTHORIZED, ocsp_answer(WITH_OCSP, ROOT)]}, GOOD, [OCSP, OCSP]),
        (WITH_OCSP, {}, NOT_KNOWN, [OCSP]),
        (WITH_CRL, {LIST: [crl(ROOT)]}, GOOD, [LIST]),
        (WITH_CRL, {LIST: [crl(ROOT, WITH_CRL)]}, IS_REVOKED, [LIST]),
        (WITH_CRL, {}, NOT_KNOWN, [LIST]),
        (WITH_BOTH, {OCSP: [ocsp_answer(WITH_BOTH, ROOT)], LIST: [b""]}, GOOD, [OCSP]),
        (WITH_BOTH, {LIST: [crl(ROOT)]}, GOOD, [OCSP, LIST]),
        (WITH_BOTH, {OCSP: [b"<html>"], LIST: [crl(ROOT, WITH_BOTH)]}, IS_REVOKED, [OCSP, OCSP, LIST]),
    ],
)
async def test_the_first_source_that_knows_decides(
    cache: RevocationCache, leaf: Made, answers: Any, expected: RevocationStatus, asked: list[str]
) -> None:
    world = World(answers)
    assert await find(world, cache, leaf) is expected
    assert world.asked == asked


INTERMEDIATE = make(
    "Intermediate",
    issuer=ROOT,
    is_ca=True,
    usages=("key_cert_sign", "crl_sign"),
    extensions=(naming_crl("http://root.example.com/crl"),),
)
BELOW = make(issuer=INTERMEDIATE, extensions=(naming_ocsp(OCSP),))


@pytest.mark.parametrize(
    ("of_leaf", "of_intermediate", "expected"),
    [
        (ocsp_answer(BELOW, INTERMEDIATE), crl(ROOT), GOOD),
        (ocsp_answer(BELOW, INTERMEDIATE), crl(ROOT, INTERMEDIATE), IS_REVOKED),
        (ocsp_answer(BELOW, INTERMEDIATE, REVOKED), b"", IS_REVOKED),
        (b"", crl(ROOT), NOT_KNOWN),
        (ocsp_answer(BELOW, INTERMEDIATE), b"", NOT_KNOWN),
    ],
)
async def test_every_certificate_but_the_root_is_asked_about_and_the_worst_counts(
    cache: RevocationCache, of_leaf: bytes, of_intermediate: bytes, expected: RevocationStatus
) -> None:
    world = World({OCSP: [of_leaf], "http://root.example.com/crl": [of_intermediate]})
    finding = await RevocationCheck(world, cache).find(path(BELOW, INTERMEDIATE, ROOT), NOW)
    assert finding.status is expected
    assert {OCSP, "http://root.example.com/crl"} == set(world.asked)


async def test_a_root_is_not_asked_about(cache: RevocationCache) -> None:
    root = make("Root", is_ca=True, extensions=(naming_ocsp(OCSP),))
    world = World({})
    assert (await RevocationCheck(world, cache).find(path(root), NOW)).status is GOOD
    assert not world.asked


async def test_a_path_is_not_asked_about_without_end(cache: RevocationCache) -> None:
    chain = [ROOT]
    for _ in range(MAX_CERTIFICATES_ASKED + 1):
        chain.insert(0, make("CA", issuer=chain[0], is_ca=True, extensions=(naming_ocsp(OCSP),)))
    world = World({})
    assert (await RevocationCheck(world, cache).find(path(*chain), NOW)).status is NOT_KNOWN
    assert not world.asked


async def test_a_path_that_cannot_be_read_is_not_known(cache: RevocationCache) -> None:
    assert (await RevocationCheck(World({}), cache).find([b"", b""], NOW)).status is NOT_KNOWN


@pytest.mark.parametrize("leaf", [WITH_OCSP, WITH_BOTH, BELOW])
async def test_silence_ends_by_itself(cache: RevocationCache, leaf: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security.revocation, "ANSWER_TIMEOUT", timedelta(seconds=0.02))
    world = World({OCSP: for_ever})
    assert await find(world, cache, leaf) is NOT_KNOWN
    assert world.asked.count(OCSP) == 1  # not a second time with another hash


async def test_a_silent_responder_leaves_time_for_the_list(
    cache: RevocationCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security.revocation, "ANSWER_TIMEOUT", timedelta(seconds=0.02))
    assert await find(World({OCSP: for_ever, LIST: [crl(ROOT)]}), cache, WITH_BOTH) is GOOD


async def test_all_questions_together_have_an_end(cache: RevocationCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security.revocation, "CHECK_TIMEOUT", timedelta(seconds=0.02))
    finding = await RevocationCheck(World({OCSP: for_ever}), cache).find(path(WITH_OCSP, ROOT), NOW)
    assert finding.status is NOT_KNOWN
    assert finding.reason.startswith("nobody answered within")


async def test_a_good_answer_is_used_again_for_a_day_and_then_asked_for_anew(cache: RevocationCache) -> None:
    world = World({OCSP: [ocsp_answer(WITH_OCSP, ROOT, next_update=NOW + 9 * DAY)]})
    assert await find(world, cache, WITH_OCSP) is GOOD
    assert await find(world, cache, WITH_OCSP, NOW + REUSE - timedelta(seconds=1)) is GOOD
    assert len(world.asked) == 1
    world.answers[OCSP] = [ocsp_answer(WITH_OCSP, ROOT, REVOKED)]
    assert await find(world, cache, WITH_OCSP, NOW + REUSE) is IS_REVOKED
    assert len(world.asked) == 2


async def test_where_nobody_answers_a_good_answer_counts_until_its_end(cache: RevocationCache) -> None:
    await find(World({OCSP: [ocsp_answer(WITH_OCSP, ROOT, next_update=NOW + 9 * DAY)]}), cache, WITH_OCSP)
    silence = World({})
    assert await find(silence, cache, WITH_OCSP, NOW + 8 * DAY) is GOOD
    assert silence.asked == [OCSP]
    assert await find(silence, cache, WITH_OCSP, NOW + 10 * DAY) is NOT_KNOWN


async def test_a_list_answers_for_all_certificates_of_its_issuer(cache: RevocationCache) -> None:
    world = World({LIST: [crl(ROOT, WITH_CRL)]})
    other = make(issuer=ROOT, extensions=(naming_crl(LIST),))
    assert await find(world, cache, other) is GOOD
    assert await find(world, cache, WITH_CRL) is IS_REVOKED
    assert len(world.asked) == 1


async def test_a_revocation_is_remembered_for_ever_and_nobody_asked_again(cache: RevocationCache) -> None:
    await find(World({OCSP: [ocsp_answer(WITH_BOTH, ROOT, REVOKED)]}), cache, WITH_BOTH)
    world = World({OCSP: [ocsp_answer(WITH_BOTH, ROOT)], LIST: [crl(ROOT)]})
    assert await find(world, cache, WITH_BOTH, NOW + 1000 * DAY) is IS_REVOKED
    assert not world.asked


async def test_a_kept_revocation_wins_over_a_kept_good_answer(cache: RevocationCache) -> None:
    await find(World({OCSP: [ocsp_answer(WITH_BOTH, ROOT)]}), cache, WITH_BOTH)
    listing = make(issuer=ROOT, extensions=(naming_crl(LIST),))
    await find(World({LIST: [crl(ROOT, WITH_BOTH)]}), cache, listing)
    assert await find(World({}), cache, WITH_BOTH) is IS_REVOKED


async def test_a_hold_that_was_lifted_is_noticed(cache: RevocationCache) -> None:
    await find(World({OCSP: [ocsp_answer(WITH_OCSP, ROOT, REVOKED, reason=HOLD)]}), cache, WITH_OCSP)
    later = NOW + 2 * DAY
    lifted = World({OCSP: [ocsp_answer(WITH_OCSP, ROOT, this_update=later, next_update=later + DAY)]})
    assert await find(lifted, cache, WITH_OCSP) is IS_REVOKED
    assert await find(lifted, cache, WITH_OCSP, later) is GOOD


@pytest.mark.parametrize(
    "answer",
    [
        ocsp_answer(WITH_OCSP, ROOT, next_update=None),
        ocsp_answer(WITH_OCSP, ROOT, next_update=NOW + MIN_KEPT - timedelta(seconds=1)),
        ocsp_answer(WITH_OCSP, ROOT, REVOKED, reason=HOLD, next_update=NOW + MIN_KEPT / 2),
        ocsp_answer(WITH_OCSP, ROOT, UNKNOWN),
        b"<html>",
    ],
    ids=["no end", "short", "short hold", "unknown", "garbage"],
)
async def test_what_counts_only_for_a_moment_is_not_written(
    cache: RevocationCache, tmp_path: Path, answer: bytes
) -> None:
    await find(World({OCSP: [answer]}), cache, WITH_OCSP)
    assert not list(tmp_path.rglob("*.*"))


async def test_without_the_time_no_answer_is_old_and_none_is_written(cache: RevocationCache, tmp_path: Path) -> None:
    world = World({OCSP: [ocsp_answer(WITH_OCSP, ROOT, this_update=NOW - 99 * DAY, next_update=NOW - 98 * DAY)]})
    assert await find(world, cache, WITH_OCSP, None) is GOOD
    assert not list(tmp_path.rglob("*.*"))


async def test_without_the_time_everybody_is_asked_again_but_what_is_kept_helps(cache: RevocationCache) -> None:
    await find(World({OCSP: [ocsp_answer(WITH_OCSP, ROOT)]}), cache, WITH_OCSP)
    silence = World({})
    assert await find(silence, cache, WITH_OCSP, None) is GOOD
    assert silence.asked == [OCSP]


async def test_a_cache_that_fails_is_said_and_does_not_matter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "revocation").write_text("a file where the directory should be")
    world = World({OCSP: [ocsp_answer(WITH_OCSP, ROOT)]})
    assert await find(world, RevocationCache(tmp_path / "revocation"), WITH_OCSP) is GOOD
    assert "is not kept" in caplog.text


async def test_a_forged_file_in_the_cache_is_not_believed(cache: RevocationCache, tmp_path: Path) -> None:
    await find(World({OCSP: [ocsp_answer(WITH_OCSP, ROOT)]}), cache, WITH_OCSP)
    (file,) = tmp_path.rglob("*.ocsp")
    head = file.read_bytes().partition(b"\n")[0]
    file.write_bytes(head + b"\n" + ocsp_answer(WITH_OCSP, ROOT, signer=make_root()))
    assert await find(World({}), cache, WITH_OCSP) is NOT_KNOWN


async def test_an_unreadable_file_is_said_and_does_not_matter(
    cache: RevocationCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World({OCSP: [ocsp_answer(WITH_OCSP, ROOT)]})
    await find(world, cache, WITH_OCSP)

    def fail(*_: object, **__: object) -> bytes:
        raise DurableError("revocation", "cannot be read")

    monkeypatch.setattr(durable, "read", fail)
    assert await find(world, cache, WITH_OCSP) is GOOD
    assert "cannot be read" in caplog.text


def urls(*extensions: x509.ExtensionType) -> list[str] | None:
    sources = sources_of(subject(make(issuer=ROOT, extensions=extensions), ROOT))
    return None if sources is None else list(dict.fromkeys(source.url for source in sources))


def test_sources_are_asked_in_order_and_not_without_end() -> None:
    many = [f"http://{number}.example.com/" for number in range(5)]
    assert urls(naming_crl(*many), naming_ocsp(*(f"{url}ocsp" for url in many))) == [
        "http://0.example.com/ocsp",
        "http://1.example.com/ocsp",
        "http://0.example.com/",
        "http://1.example.com/",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "ldap://ca.example.com/cn=ca?certificateRevocationList",
        "ftp://ca.example.com/list.crl",
        "file:///etc/passwd",
        "http:///list.crl",
        "http://user:password@ca.example.com/",
        "http://ca.example.com:0/",
        "http://ca.example.com:port/",
        "http://[::1/",
        "http://ca.example.com/ HTTP/1.1\r\nX: y",
        "http://ca.example.com/" + "x" * 2000,
    ],
)
async def test_what_is_named_in_a_way_that_is_not_spoken_is_not_known(cache: RevocationCache, url: str) -> None:
    assert urls(naming_crl(url), naming_ocsp(url)) == []
    leaf = make(issuer=ROOT, extensions=(naming_ocsp(url),))
    world = World({})
    assert await find(world, cache, leaf) is NOT_KNOWN
    assert not world.asked


def test_whoever_names_nobody_has_no_sources() -> None:
    assert urls() is None
    issuers = x509.AccessDescription(
        x509.oid.AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(OCSP)
    )
    assert urls(x509.AuthorityInformationAccess([issuers])) is None


@pytest.mark.parametrize(
    "properties",
    [
        {"crl_issuer": [x509.DirectoryName(ROOT.x509.subject)]},
        {"reasons": frozenset({x509.ReasonFlags.key_compromise})},
    ],
)
def test_indirect_and_partial_lists_are_no_sources(properties: dict[str, Any]) -> None:
    assert urls(naming_crl(LIST, **properties)) == []


def test_a_name_that_is_no_address_is_no_source() -> None:
    point = x509.DistributionPoint([x509.DNSName("ca.example.com")], None, None, None)
    assert urls(x509.CRLDistributionPoints([point])) == []


async def test_what_was_found_about_each_is_in_the_log(
    cache: RevocationCache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "security.revocation")
    await find(World({OCSP: [ocsp_answer(WITH_OCSP, ROOT)]}), cache, WITH_OCSP)
    assert "good, the OCSP responder calls it good" in caplog.text
