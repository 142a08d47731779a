"""Private keys in hardware: made and used by a provider of OpenSSL 3, which is reached through the `openssl` program.

The key never leaves its TPM 2.0 or PKCS#11 token; what is kept is a PEM that names it, and that `ssl` takes as a key
file (docs/decisions/0071-where-private-keys-live.md). OpenSSL's own configuration, which the environment variable
OPENSSL_CONF names before the agent starts, loads the provider and tells it what it needs to know: the path of the
PKCS#11 module, the PIN. None of that passes through the agent.

Not done here: removing a key from a PKCS#11 token, for which OpenSSL has no command. A TPM keeps nothing: its key is
inside the PEM, wrapped so that only this TPM can use it.
"""

import os
import re
import secrets
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from security.errors import KeyStoreError
from security.keys import KeyPair, KeyType, name_key, names_key

OPENSSL_TIMEOUT: Final = timedelta(minutes=2)  #: time; a small TPM makes an RSA key in up to a minute
MAX_REASON_CHARACTERS: Final = 160  #: characters; what the program says first is what went wrong

Provider = Literal["pkcs11", "tpm2"]

_PLACES: Final = {"pkcs11": "PKCS#11 token", "tpm2": "TPM"}


class ProviderKeys:
    """Keys behind one provider.

    Args:
        key_type: of new keys.
        provider: by which name OpenSSL's configuration loads it.
        uri: the PKCS#11 URI (RFC 7512) of the token, for pkcs11.
        program: the `openssl` program.
    """

    def __init__(self, key_type: KeyType, provider: Provider, uri: str = "", *, program: str = "openssl") -> None:
        self.place = _PLACES[provider]
        self._type = key_type
        self._provider = provider
        self._uri = uri
        self._program = program

    def generate(self) -> KeyPair:
        """Make a new key pair in the hardware.

        Raises:
            KeyStoreError: there is none.
        """
        pem = self._run("genpkey", *self._kind(), *self._object())
        if not names_key(pem):  # made by the default provider, the PEM is the key itself
            raise KeyStoreError(f"no key was made in the {self.place}: is the provider in OPENSSL_CONF's file?")
        der = self._run("pkey", "-pubout", "-outform", "DER", key=pem)
        try:
            public_key = load_der_public_key(der).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except ValueError as error:
            raise KeyStoreError("the public key of the new key cannot be read") from error

        def sign(digest: bytes) -> bytes:
            return self._run("pkeyutl", "-sign", "-pkeyopt", "digest:sha256", key=pem, data=digest)

        return KeyPair(name_key(pem, public_key), public_key, sign)

    def _kind(self) -> Sequence[str]:
        if self._type.curve is None:
            return "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{self._type.bits}"
        return "-algorithm", "EC", "-pkeyopt", f"group:P-{self._type.bits}"

    def _object(self) -> Sequence[str]:
        if self._provider != "pkcs11":
            return ()
        # A name of its own for each key: by its token alone the PEM would name all of them.
        return "-pkeyopt", f"pkcs11_uri:{self._uri};object=chargepoint-{secrets.token_hex(8)}"

    def _run(self, command: str, *arguments: str, key: bytes | None = None, data: bytes = b"") -> bytes:
        """Run the program on the name of a key, which it wants as a file, and return what it wrote."""
        descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
        try:
            if key is not None:
                os.write(descriptor, key)
                option = "-inkey" if command == "pkeyutl" else "-in"
                arguments = (*arguments, option, f"/dev/fd/{descriptor}")
            done = subprocess.run(  # noqa: S603 - no shell; the arguments are ours and of config.toml
                # Preferred and not demanded: files are read by the default provider.
                (self._program, command, "-propquery", f"?provider={self._provider}", *arguments),
                input=data,
                capture_output=True,
                pass_fds=(descriptor,),
                timeout=OPENSSL_TIMEOUT.total_seconds(),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KeyStoreError(f"{self._program} {command} cannot be run ({type(error).__name__})") from error
        finally:
            os.close(descriptor)
        # Some providers end the program badly after the work is done: what it wrote is looked at, not only its status.
        if done.returncode > 0 or not done.stdout:
            raise KeyStoreError(f"{self._program} {command} failed: {_reason(done.stderr)}")
        return done.stdout


def _reason(stderr: bytes) -> str:
    text = re.sub(r"[^ -~]+", " ", stderr.decode("ascii", errors="replace")).strip()
    return text[:MAX_REASON_CHARACTERS] or "it said nothing"
