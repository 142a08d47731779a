"""The signature over a file: what is taken, what is not and why, and that reading a large file blocks nobody."""

import asyncio
import base64
import functools
import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security import durable
from security.errors import StorageFailed
from security.signature import (
    MAX_SIGNATURE_CHARACTERS,
    PIECE_BYTES,
    SignatureResult,
    Verification,
    digest_of,
    verify_digest,
    verify_file,
)
from tests.openssl import OPENSSL
from tests.pki import Made, SigningKey, dsa_key, make, make_root, rsa_key

FILE = b"firmware 1.1.0" * 1000
DIGEST = hashlib.sha256(FILE).digest()
SHA256, SHA1, SHA384 = hashes.SHA256(), hashes.SHA1(), hashes.SHA384()  # noqa: S303 - SHA-1 is to be refused
ROOT = make_root()
RSA = make(issuer=ROOT, key=rsa_key())
CURVES = [ec.SECP224R1(), ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.BrainpoolP256R1()]


@functools.cache
def elliptic(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> Made:
    return make(issuer=ROOT, key=ec.generate_private_key(curve()))


def pss(
    made: Made = RSA,
    *,
    salt: int | object = padding.PSS.DIGEST_LENGTH,
    mgf: hashes.HashAlgorithm = SHA256,
    over: hashes.HashAlgorithm = SHA256,
    data: bytes = FILE,
) -> bytes:
    assert isinstance(made.key, rsa.RSAPrivateKey)
    return made.key.sign(data, padding.PSS(padding.MGF1(mgf), salt), over)  # type: ignore[arg-type]


def pkcs1(made: Made = RSA, over: hashes.HashAlgorithm = SHA256) -> bytes:
    assert isinstance(made.key, rsa.RSAPrivateKey)
    return made.key.sign(FILE, padding.PKCS1v15(), over)


def ecdsa(made: Made, *, over: hashes.HashAlgorithm = SHA256, data: bytes = FILE) -> bytes:
    assert isinstance(made.key, ec.EllipticCurvePrivateKey)
    return made.key.sign(data, ec.ECDSA(over))


def side_by_side(signature: bytes, made: Made) -> bytes:
    assert isinstance(made.key, ec.EllipticCurvePrivateKey)
    half = (made.key.key_size + 7) // 8
    return b"".join(number.to_bytes(half, "big") for number in utils.decode_dss_signature(signature))


def verify(signature: bytes | str | None, made: Made = RSA, *, accept_pkcs1: bool = False) -> Verification:
    text = base64.b64encode(signature).decode() if isinstance(signature, bytes) else signature
    return verify_digest(DIGEST, text, made.certificate, accept_pkcs1=accept_pkcs1)


def result(signature: bytes | str | None, made: Made = RSA) -> SignatureResult:
    outcome = verify(signature, made)
    assert outcome.verified == (outcome.result is SignatureResult.VERIFIED) == (outcome.reason == "")
    return outcome.result


@pytest.mark.parametrize("salt", [0, 20, 32, padding.PSS.MAX_LENGTH])
def test_rsa_pss_is_taken_with_a_salt_of_any_length(salt: int | object) -> None:
    assert result(pss(salt=salt)) is SignatureResult.VERIFIED


@pytest.mark.parametrize("bits", [3072, 4096])
def test_the_longest_rsa_signatures_of_the_field_fit(bits: int) -> None:
    made = make(issuer=ROOT, key=rsa_key(bits))
    assert result(pss(made), made) is SignatureResult.VERIFIED


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_ecdsa_is_taken_in_der_and_as_two_numbers(curve: ec.EllipticCurve) -> None:
    made = elliptic(type(curve))
    signature = ecdsa(made)
    assert result(signature, made) is SignatureResult.VERIFIED
    assert result(side_by_side(signature, made), made) is SignatureResult.VERIFIED
    assert result(side_by_side(ecdsa(made, data=FILE[1:]), made), made) is SignatureResult.WRONG


@pytest.mark.parametrize(
    ("signature", "made"),
    [
        (pss(data=FILE + b"\0"), RSA),
        (pss(data=FILE[:-1]), RSA),
        (pss(data=DIGEST), RSA),  # over the hash, hashed once more
        (pss(over=SHA384), RSA),
        (pss(over=SHA1, mgf=SHA1), RSA),
        (pss(mgf=SHA1), RSA),
        (pkcs1(over=SHA1), RSA),
        (pss(make(key=rsa_key(3072))), RSA),
        (bytes(256), RSA),
        (b"\xff" * 256, RSA),
        (ecdsa(elliptic()), RSA),
        (ecdsa(elliptic(), data=FILE + b"\0"), elliptic()),
        (ecdsa(elliptic(), over=SHA384), elliptic()),
        (ecdsa(elliptic(), over=SHA1), elliptic()),
        (ecdsa(elliptic(ec.SECP384R1)), elliptic()),
        (pss(), elliptic()),
        (bytes(64), elliptic()),
        (utils.encode_dss_signature(0, 0), elliptic()),
        (utils.encode_dss_signature(1 << 600, 1), elliptic()),
        (b"\x30\x80", elliptic()),
        (b"\x00", elliptic()),
    ],
)
def test_a_signature_of_something_else_is_wrong(signature: bytes, made: Made) -> None:
    assert result(signature, made) is SignatureResult.WRONG


def test_one_changed_bit_anywhere_is_wrong() -> None:
    for signature, made in ((pss(), RSA), (ecdsa(elliptic()), elliptic())):
        for position in range(len(signature)):
            changed = bytearray(signature)
            changed[position] ^= 1
            assert result(bytes(changed), made) is SignatureResult.WRONG


def test_one_changed_bit_of_the_digest_is_wrong() -> None:
    signature = base64.b64encode(pss()).decode()
    for position in range(len(DIGEST)):
        changed = bytearray(DIGEST)
        changed[position] ^= 0x80
        assert verify_digest(bytes(changed), signature, RSA.certificate).result is SignatureResult.WRONG


def test_pkcs1_needs_the_switch_and_the_reason_names_it() -> None:
    refused = verify(pkcs1())
    assert refused.result is SignatureResult.UNSUPPORTED_ALGORITHM
    assert "[interop] firmware_pkcs1" in refused.reason
    assert verify(pkcs1(), accept_pkcs1=True).verified
    assert verify(pss(), accept_pkcs1=True).verified


def test_the_switch_lets_in_no_other_hash_and_no_other_file() -> None:
    assert verify(pkcs1(over=SHA1), accept_pkcs1=True).result is SignatureResult.WRONG
    assert verify(pkcs1(over=SHA384), accept_pkcs1=True).result is SignatureResult.WRONG
    text = base64.b64encode(pkcs1()).decode()
    assert not verify_digest(bytes(32), text, RSA.certificate, accept_pkcs1=True).verified


@pytest.mark.parametrize("key", [Ed25519PrivateKey.generate(), dsa_key(2048)], ids=["Ed25519", "DSA"])
def test_another_kind_of_key_is_not_supported(key: SigningKey) -> None:
    signature = key.sign(FILE) if isinstance(key, Ed25519PrivateKey) else bytes(64)
    assert result(signature, make(key=key)) is SignatureResult.UNSUPPORTED_ALGORITHM


def test_a_refused_signature_of_an_elliptic_curve_speaks_of_ec_schnorr() -> None:
    assert "EC Schnorr is not supported" in verify(bytes(64), elliptic()).reason


def test_the_length_that_does_not_fit_is_named() -> None:
    assert verify(bytes(255)).reason == "the signature has 255 bytes, the certificate's key makes 256"


@pytest.mark.parametrize("text", [None, "", " ", "\r\n\t", " " * (MAX_SIGNATURE_CHARACTERS + 1)])
def test_no_signature_is_missing(text: str | None) -> None:
    assert result(text) is SignatureResult.MISSING


@pytest.mark.parametrize("text", ["A", "AAAAA", "*", "AA=A", "ä", "\N{NO-BREAK SPACE}AAAA", "A\0AA", "\ud800"])
def test_what_is_not_base64_is_malformed(text: str) -> None:
    outcome = verify(text)
    assert outcome == Verification(SignatureResult.MALFORMED, "the signature is not base64")


def test_what_is_too_long_is_malformed() -> None:
    good = base64.b64encode(pss()).decode()
    fits = good.ljust(MAX_SIGNATURE_CHARACTERS)
    assert result(fits) is SignatureResult.VERIFIED
    assert result(fits + " ") is SignatureResult.MALFORMED


def lines(text: str, end: str) -> str:
    return end.join(text[start : start + 64] for start in range(0, len(text), 64)) + end


@pytest.mark.parametrize(
    "written",
    [
        lambda raw: lines(base64.b64encode(raw).decode(), "\n"),
        lambda raw: lines(base64.b64encode(raw).decode(), "\r\n"),
        lambda raw: f"  {base64.b64encode(raw).decode()}\t",
        lambda raw: base64.b64encode(raw).decode().rstrip("="),
        lambda raw: base64.urlsafe_b64encode(raw).decode(),
        lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ],
)
def test_base64_is_read_however_it_is_written(written: Callable[[bytes], str]) -> None:
    raw = next(raw for raw in iter(pss, b"") if {"+", "/"} <= {*base64.b64encode(raw).decode()})
    assert result(written(raw)) is SignatureResult.VERIFIED


@pytest.mark.skipif(OPENSSL is None, reason="this machine has no openssl program")
@pytest.mark.parametrize("made", [RSA, elliptic()], ids=["RSA-PSS", "ECDSA"])
async def test_what_the_openssl_program_signs_is_verified(made: Made, tmp_path: Path) -> None:
    image, key, signature = tmp_path / "image", tmp_path / "key.pem", tmp_path / "signature"
    image.write_bytes(FILE)
    key.write_bytes(made.key_pem.reveal())
    options = ["-sigopt", "rsa_padding_mode:pss"] if made is RSA else []
    command = [str(OPENSSL), "dgst", "-sha256", *options, "-sign", str(key), "-out", str(signature), str(image)]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=20)
    text = base64.encodebytes(signature.read_bytes()).decode()
    assert (await verify_file(image, text, made.certificate)).verified
    image.write_bytes(FILE[:-1])
    assert not (await verify_file(image, text, made.certificate)).verified


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
async def test_the_digest_is_that_of_the_whole_file(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    (tmp_path / "image").write_bytes(content)
    assert await digest_of(tmp_path / "image") == hashlib.sha256(content).digest()


async def test_a_file_that_cannot_be_read_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="image: cannot be read: No such file"):
        await verify_file(tmp_path / "image", "AAAA", RSA.certificate)


async def test_the_event_loop_goes_on_while_a_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    went_on = threading.Event()

    def pieces(_: Path, *, piece_bytes: int) -> Iterator[memoryview]:
        assert went_on.wait(10), "nothing else ran"
        yield memoryview(FILE)[:piece_bytes]

    monkeypatch.setattr(durable, "pieces", pieces)
    asyncio.get_running_loop().call_soon(went_on.set)
    assert await digest_of(tmp_path / "image") == DIGEST


async def test_cancelling_ends_the_reading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reading, ended, go_on = threading.Event(), threading.Event(), threading.Event()

    def pieces(_: Path, *, piece_bytes: int) -> Iterator[memoryview]:
        try:
            while True:  # a file without end
                reading.set()
                assert go_on.wait(10)
                yield memoryview(FILE)[:piece_bytes]
        finally:
            ended.set()

    monkeypatch.setattr(durable, "pieces", pieces)
    task = asyncio.create_task(digest_of(tmp_path / "image"))
    await asyncio.to_thread(reading.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)
