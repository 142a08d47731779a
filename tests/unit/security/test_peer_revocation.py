import logging
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from security.errors import FetchFailed
from security.event import SecurityEventType
from security.inquiry import Question
from security.peer_revocation import PeerNotVouchedFor, PeerRevocation, RevocationPolicy
from security.revocation import RevocationCheck
from security.revocation_cache import RevocationCache
from security.tls import Peer
from tests.pki import NOW, make, make_root
from tests.statements import GOOD, REVOKED, UNKNOWN, naming_ocsp, ocsp_answer

ROOT = make_root()
LEAF = make("cs.example.com", issuer=ROOT, extensions=(naming_ocsp("http://ca.example.com/"),))
PEER = Peer(
    "TLSv1.3", "TLS_AES_128_GCM_SHA256", tuple(each.x509.public_bytes(Encoding.DER) for each in (LEAF, ROOT)), ()
)


async def judge(directory: Path, policy: RevocationPolicy, answer: bytes | None) -> None:
    async def fetch(_: Question) -> bytes:
        if answer is None:
            raise FetchFailed("nobody there")
        return answer

    await PeerRevocation(RevocationCheck(fetch, RevocationCache(directory)), policy).judge(PEER, NOW)


@pytest.mark.parametrize("policy", [RevocationPolicy.SOFT, RevocationPolicy.HARD])
async def test_a_good_peer_passes(policy: RevocationPolicy, tmp_path: Path) -> None:
    await judge(tmp_path, policy, ocsp_answer(LEAF, ROOT, GOOD))


@pytest.mark.parametrize("policy", [RevocationPolicy.SOFT, RevocationPolicy.HARD])
async def test_a_revoked_peer_is_refused(policy: RevocationPolicy, tmp_path: Path) -> None:
    with pytest.raises(PeerNotVouchedFor) as caught:
        await judge(tmp_path, policy, ocsp_answer(LEAF, ROOT, REVOKED))
    assert caught.value.event is SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
    assert "revoked since 2030-05-31" in caught.value.what
    assert "CN=cs.example.com" in caught.value.peer


@pytest.mark.parametrize("answer", [None, b"<html>", ocsp_answer(LEAF, ROOT, UNKNOWN)])
async def test_soft_accepts_what_nobody_knows_and_says_so(
    answer: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await judge(tmp_path, RevocationPolicy.SOFT, answer)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "it is accepted" in record.getMessage()


@pytest.mark.parametrize("answer", [None, b"<html>", ocsp_answer(LEAF, ROOT, UNKNOWN)])
async def test_hard_refuses_what_nobody_knows_always_in_the_same_words(answer: bytes | None, tmp_path: Path) -> None:
    with pytest.raises(
        PeerNotVouchedFor, match=r"^it is not known whether the peer's certificate is revoked$"
    ) as caught:
        await judge(tmp_path, RevocationPolicy.HARD, answer)
    assert caught.value.event is SecurityEventType.INVALID_CENTRAL_SYSTEM_CERTIFICATE
