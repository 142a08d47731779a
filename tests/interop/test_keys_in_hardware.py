"""Private keys that never leave a PKCS#11 token: SoftHSM behind pkcs11-provider and OpenSSL 3, end to end.

Skipped where one of these is not installed: softhsm2, pkcs11-provider (Debian 13 and later; CHARGEPOINT_PKCS11_PROVIDER
may name its pkcs11.so). The OpenSSL of Python's `ssl` has to be the system's, which loads the provider.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509

from security.errors import KeyStoreError
from security.keys import KeyType, fingerprint, read_key
from security.provider_keys import ProviderKeys
from security.signing_request import signing_request
from tests.agent_process import PKI
from tests.enrolling import SERIAL_NUMBER, der, hand_over, in_profile_3, ordered, presented

_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)
_PROVIDERS = (
    os.environ.get("CHARGEPOINT_PKCS11_PROVIDER", ""),
    "/usr/lib/x86_64-linux-gnu/ossl-modules/pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/ossl-modules/pkcs11.so",
    "/usr/lib64/ossl-modules/pkcs11.so",
)
_OPENSSL_CONF = """\
openssl_conf = openssl_init
[openssl_init]
providers = provider_list
[provider_list]
default = default_provider
pkcs11 = pkcs11_provider
[default_provider]
activate = 1
[pkcs11_provider]
module = {provider}
pkcs11-module-path = {module}
pkcs11-module-token-pin = 1234
pkcs11-module-encode-provider-uri-to-pem = true
pkcs11-module-quirks = no-deinit
activate = 1
"""
URI = "pkcs11:token=cp"


def installed(paths: tuple[str, ...], what: str) -> str:
    path = next((path for path in paths if path and Path(path).exists()), None)
    if path is None:
        pytest.skip(f"{what} is not installed")
    return path


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A fresh token, and the environment in which OpenSSL finds it."""
    softhsm = shutil.which("softhsm2-util")
    if softhsm is None or shutil.which("openssl") is None:
        pytest.skip("softhsm2-util or openssl is not installed")
    module = installed(_MODULES, "SoftHSM's PKCS#11 module")
    provider = installed(_PROVIDERS, "pkcs11-provider for OpenSSL 3 (CHARGEPOINT_PKCS11_PROVIDER)")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nlog.level = ERROR\n")
    (tmp_path / "openssl.cnf").write_text(_OPENSSL_CONF.format(provider=provider, module=module))
    environment = {"SOFTHSM2_CONF": f"{tmp_path}/softhsm2.conf", "OPENSSL_CONF": f"{tmp_path}/openssl.cnf"}
    subprocess.run(
        [softhsm, "--init-token", "--free", "--label", "cp", "--pin", "1234", "--so-pin", "12345678"],
        check=True,
        capture_output=True,
        env=os.environ | {"SOFTHSM2_CONF": environment["SOFTHSM2_CONF"]},
    )
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.mark.parametrize("key_type", list(KeyType))
def test_a_request_is_signed_in_the_token(token: Mapping[str, str], key_type: KeyType) -> None:
    key = ProviderKeys(key_type, "pkcs11", URI).generate()
    request = x509.load_pem_x509_csr(signing_request(key, serial_number="SN-0001", organisation="Example CPO").encode())
    assert request.is_signature_valid
    assert b"PRIVATE KEY" not in key.pem.reveal()
    assert read_key(key.pem) == (fingerprint(key.public_key), key.pem)


def test_each_request_has_a_key_of_its_own(token: Mapping[str, str]) -> None:
    keys = ProviderKeys(KeyType.EC_P256, "pkcs11", URI)
    assert keys.generate().public_key != keys.generate().public_key


def test_a_key_outside_the_token_is_refused(token: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENSSL_CONF")
    with pytest.raises(KeyStoreError):
        ProviderKeys(KeyType.EC_P256, "pkcs11", URI).generate()
    with pytest.raises(KeyStoreError, match="no key was made in the TPM"):
        ProviderKeys(KeyType.EC_P256, "tpm2").generate()


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
@pytest.mark.requirement("A02.FR.05")
async def test_the_connection_in_profile_3_is_made_with_the_key_in_the_token(
    token: Mapping[str, str], tmp_path: Path, key_type: str
) -> None:
    security = {"key_type": key_type, "key_provider": "pkcs11", "key_uri": URI}
    async with in_profile_3(tmp_path, further={"security": security}) as (central_system, running):
        await presented(central_system)
        signed = PKI.sign_csr(await ordered(central_system), serial_number=SERIAL_NUMBER)
        assert await hand_over(central_system, signed) == "Accepted"
        assert await presented(central_system) == der(signed)
        own = (await running.call("certificates.list"))["charge_point"]
        assert {each["key_place"] for each in own} == {"file", "PKCS#11 token"}
        assert not central_system.findings
