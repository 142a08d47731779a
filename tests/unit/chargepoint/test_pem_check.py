"""The PEM files that config.toml names: a bad one is named with its reason, before the agent starts."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from chargepoint.mistake import Mistake, MistakeList
from chargepoint.pem_check import MAX_PEM_BYTES, check_provisioning
from chargepoint.settings import ProvisioningSettings
from chargepoint.simulation.pki import Pki


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki.create()


@pytest.fixture
def good(pki: Pki, tmp_path: Path) -> dict[str, Path]:
    issued = pki.charge_point_certificate("SN-0001", issuer=pki.intermediate())
    files = {
        "central_system_roots": pki.root_pem,
        "manufacturer_roots": pki.manufacturer_root_pem,
        "certificate": issued.chain_pem,
        "private_key": issued.key_pem,
    }
    paths = {key: tmp_path / f"{key}.pem" for key in files}
    for key, content in files.items():
        paths[key].write_bytes(content)
    return paths


def _mistakes(files: dict[str, Path]) -> list[Mistake]:
    mistakes = MistakeList(Path("config.toml"))
    check_provisioning(
        ProvisioningSettings(
            central_system_roots=(files["central_system_roots"],),
            manufacturer_roots=(files["manufacturer_roots"],),
            certificate=files.get("certificate"),
            private_key=files.get("private_key"),
        ),
        mistakes,
    )
    return list(mistakes)


def test_good_files_are_no_mistake(good: dict[str, Path]) -> None:
    assert _mistakes(good) == []


def test_a_bundle_of_roots_is_no_mistake(good: dict[str, Path], pki: Pki) -> None:
    good["central_system_roots"].write_bytes(b"the roots\n" + pki.root_pem + pki.manufacturer_root_pem)
    assert _mistakes(good) == []


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("central_system_roots", b"nothing", "not a PEM file"),
        ("central_system_roots", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged"),
        ("manufacturer_roots", b"-----BEGIN " + bytes(MAX_PEM_BYTES), "larger than"),
        ("certificate", b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----\n", "damaged"),
        ("private_key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a key in PEM"),
        ("private_key", b"", "not a PEM file"),
    ],
)
def test_a_bad_file_is_named(good: dict[str, Path], key: str, content: bytes, words: str) -> None:
    good[key].write_bytes(content)
    (mistake,) = _mistakes(good)
    assert (mistake.table, mistake.key, mistake.value) == ("provisioning", key, f'"{good[key]}"')
    assert words in mistake.reason


@pytest.mark.parametrize("key", ["central_system_roots", "manufacturer_roots", "certificate", "private_key"])
def test_a_missing_file_is_named(good: dict[str, Path], key: str) -> None:
    good[key].unlink()
    (mistake,) = _mistakes(good)
    assert (mistake.key, mistake.reason) == (key, "cannot be read: No such file or directory")


def test_a_key_that_does_not_fit_is_named_and_not_shown(good: dict[str, Path], pki: Pki) -> None:
    good["private_key"].write_bytes(pki.charge_point_certificate("SN-0002").key_pem)
    (mistake,) = _mistakes(good)
    assert mistake.key == "private_key"
    assert "belongs to none of the certificates" in mistake.reason
    assert "BEGIN" not in str(mistake)


def test_an_encrypted_key_is_named(good: dict[str, Path]) -> None:
    key = serialization.load_pem_private_key(good["private_key"].read_bytes(), None)
    good["private_key"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    (mistake,) = _mistakes(good)
    assert "encrypted" in mistake.reason


@pytest.mark.parametrize("missing", ["certificate", "private_key"])
def test_a_certificate_or_key_without_the_other_is_named(good: dict[str, Path], missing: str) -> None:
    del good[missing]
    (mistake,) = _mistakes(good)
    assert mistake.reason == f"needs {missing} beside it"
