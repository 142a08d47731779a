"""Private keys and the names of keys in hardware, as they are read."""

import pytest

from security.errors import CertificateError, KeyStoreError
from security.keys import FileKeys, KeyType, fingerprint, name_key, place_of, read_key
from security.provider_keys import ProviderKeys
from security.secret import Secret

TOKEN_PEM = b"-----BEGIN PKCS#11 PROVIDER URI-----\nMAA=\n-----END PKCS#11 PROVIDER URI-----\n"
TPM_PEM = b"-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n"


@pytest.mark.parametrize(("pem", "place"), [(TOKEN_PEM, "PKCS#11 token"), (TPM_PEM, "TPM")])
def test_the_name_of_a_key_tells_its_public_key_in_a_line_before_the_block(pem: bytes, place: str) -> None:
    named = name_key(pem, b"public key in DER")
    assert read_key(named) == (fingerprint(b"public key in DER"), named)
    assert place_of(named) == place


def test_the_name_of_a_key_without_that_line_is_refused() -> None:
    with pytest.raises(CertificateError, match="no line that names its public key"):
        read_key(Secret(TOKEN_PEM))


def test_a_key_in_a_file_is_said_to_be_there() -> None:
    assert place_of(FileKeys().generate().pem) == "file"


def test_no_text_shows_the_key() -> None:
    key = FileKeys().generate()
    assert "PRIVATE KEY" not in repr(key) + str(key)


@pytest.mark.parametrize(
    ("program", "reason"),
    [("/no/such/openssl", "cannot be run"), ("false", "false genpkey failed: it said nothing")],
)
def test_a_provider_that_cannot_be_asked_is_an_error_with_a_reason(program: str, reason: str) -> None:
    keys = ProviderKeys(KeyType.EC_P256, "tpm2", program=program)
    with pytest.raises(KeyStoreError, match=reason):
        keys.generate()
