"""A power cut at any instant of keeping an answer about revocation leaves an old answer, the new one, or none."""

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from security.errors import FetchFailed
from security.inquiry import Question, RevocationStatus
from security.revocation import RevocationCheck
from security.revocation_cache import MAX_ANSWERS, Kept, RevocationCache
from tests.pki import DAY, NOW, make, make_root
from tests.recorder import Recorder
from tests.statements import REVOKED, naming_ocsp, ocsp_answer

ROOT = make_root()
LEAF = make(issuer=ROOT, extensions=(naming_ocsp("http://ca.example.com/"),))
CHAIN = [each.x509.public_bytes(Encoding.DER) for each in (LEAF, ROOT)]
GOOD, IS_REVOKED = RevocationStatus.GOOD, RevocationStatus.REVOKED


async def find(directory: Path, answer: bytes | None, now: datetime) -> RevocationStatus:
    async def fetch(_: Question) -> bytes:
        if answer is None:
            raise FetchFailed("nobody there")
        return answer

    return (await RevocationCheck(fetch, RevocationCache(directory / "revocation")).find(CHAIN, now)).status


async def test_the_first_answer(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with Recorder(state) as recorder:
        assert await find(state, ocsp_answer(LEAF, ROOT), NOW) is GOOD
    found = set()
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        found.add(await find(cut.directory, None, NOW))
        assert await find(cut.directory, ocsp_answer(LEAF, ROOT, REVOKED), NOW + DAY) is IS_REVOKED
    assert found == {RevocationStatus.UNKNOWN, GOOD}


async def test_a_revocation_in_the_place_of_a_good_answer_where_the_cache_is_full(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    cache = RevocationCache(state / "revocation")
    for number in range(MAX_ANSWERS):
        cache.write(f"{number}.ocsp", Kept(b"x", NOW - number * DAY))
    assert await find(state, ocsp_answer(LEAF, ROOT, next_update=NOW + 9 * DAY), NOW) is GOOD
    with Recorder(state) as recorder:
        assert await find(state, ocsp_answer(LEAF, ROOT, REVOKED), NOW + DAY) is IS_REVOKED
    found = set()
    for cut in recorder.power_cuts(tmp_path / "cuts"):
        found.add(await find(cut.directory, None, NOW + DAY))
        assert len(list((cut.directory / "revocation").glob("*.ocsp"))) <= MAX_ANSWERS
        assert await find(cut.directory, ocsp_answer(LEAF, ROOT, REVOKED), NOW + 3 * DAY) is IS_REVOKED
    assert found == {GOOD, IS_REVOKED}
