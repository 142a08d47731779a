"""Private keys that never leave a TPM 2.0: swtpm behind a resource manager, tpm2-openssl and OpenSSL 3, end to end.

Skipped where one of these is not installed: swtpm, tpm2-abrmd with its TCTI, dbus-daemon, tpm2-openssl 1.3 or later
(Debian 13; CHARGEPOINT_TPM2_PROVIDER may name its tpm2.so). The OpenSSL of Python's `ssl` has to be the system's. The
resource manager is needed because the agent and the `openssl` program speak to the TPM at the same time; on a board the
kernel is one (/dev/tpmrm0).
"""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509

from chargepoint.simulation.central_system import CentralSystem
from security.keys import KeyType, fingerprint, read_key
from security.provider_keys import ProviderKeys
from security.signing_request import signing_request
from tests.agent_process import PKI, agent
from tests.enrolling import SERIAL_NUMBER, der, hand_over, ordered, presented, settled, tables

PATIENCE_S: Final = 20
MAX_RUNS: Final = 100
PROVIDERS: Final = (
    os.environ.get("CHARGEPOINT_TPM2_PROVIDER", ""),
    "/usr/lib/x86_64-linux-gnu/ossl-modules/tpm2.so",
    "/usr/lib/aarch64-linux-gnu/ossl-modules/tpm2.so",
    "/usr/lib64/ossl-modules/tpm2.so",
)
OLDEST: Final = (1, 3)  # 1.1 makes requests, and fails in the TLS handshake
OPENSSL_CONF: Final = """\
openssl_conf = openssl_init
[openssl_init]
providers = provider_list
[provider_list]
default = default_provider
tpm2 = tpm2_provider
[default_provider]
activate = 1
[tpm2_provider]
module = {provider}
activate = 1
"""
BUS_CONF: Final = """\
<busconfig>
  <type>session</type>
  <listen>unix:path={directory}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
  </policy>
</busconfig>
"""


def program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def provider() -> str:
    path = next((path for path in PROVIDERS if path and Path(path).exists()), None)
    if path is None:
        pytest.skip("tpm2-openssl is not installed (CHARGEPOINT_TPM2_PROVIDER)")
    return path


@contextmanager
def running(*command: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a server whose end is the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def two_free_ports() -> int:
    """Return a free port of 127.0.0.1 whose next one is free too: swtpm's TCTI wants them side by side."""
    for _ in range(MAX_RUNS):
        with ExitStack() as stack:
            port = int(stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1])
            try:
                stack.enter_context(socket.create_server(("127.0.0.1", port + 1)))
            except (OSError, OverflowError):
                continue
            return port
    pytest.fail("no two free ports side by side")


@pytest.fixture
def tpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fresh TPM, and the environment in which OpenSSL finds it."""
    swtpm, bus, manager, module = program("swtpm"), program("dbus-daemon"), program("tpm2-abrmd"), provider()
    openssl = program("openssl")
    (tmp_path / "tpm").mkdir()
    (tmp_path / "bus.conf").write_text(BUS_CONF.format(directory=tmp_path))
    (tmp_path / "openssl.cnf").write_text(OPENSSL_CONF.format(provider=module))
    port = two_free_ports()
    with ExitStack() as stack:
        daemon = stack.enter_context(running(bus, f"--config-file={tmp_path}/bus.conf", "--nofork", "--print-address"))
        listening = (line for line in daemon.stdout or () if line.startswith("unix:"))
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", next(listening).strip())
        places = [f"--{kind}=type=tcp,port={port + n},bindaddr=127.0.0.1" for n, kind in enumerate(("server", "ctrl"))]
        pid_file = tmp_path / "swtpm.pid"
        listens = ("--daemon", f"--pid=file={pid_file}")  # it goes to the background once it listens
        kept = f"--tpmstate=dir={tmp_path}/tpm"
        subprocess.run([swtpm, "socket", "--tpm2", kept, *places, "--flags=startup-clear", *listens], check=True)
        stack.callback(os.kill, int(pid_file.read_text()), signal.SIGTERM)
        stack.enter_context(running(manager, "--session", "--allow-root", f"--tcti=swtpm:host=127.0.0.1,port={port}"))
        monkeypatch.setenv("TPM2OPENSSL_TCTI", "tabrmd:bus_type=session")
        monkeypatch.setenv("OPENSSL_CONF", f"{tmp_path}/openssl.cnf")
        version = answering_version(openssl)
        if version < OLDEST:
            pytest.skip(f"tpm2-openssl {'.'.join(map(str, version))} is too old for TLS")
        yield


def answering_version(openssl: str) -> tuple[int, ...]:
    """Return the version of the provider as soon as its TPM answers."""
    for _ in range(MAX_RUNS):
        said = subprocess.run([openssl, "list", "-providers"], capture_output=True, text=True, timeout=PATIENCE_S)
        found = re.search(r"tpm2\n.*\n\s+version: ([0-9.]+)", said.stdout)
        if found is not None:
            return tuple(map(int, found[1].split(".")))
    pytest.fail(f"the TPM does not answer: {said.stdout} {said.stderr}")


@pytest.mark.parametrize("key_type", [KeyType.EC_P256, KeyType.EC_P384, KeyType.RSA_2048])
def test_a_request_is_signed_in_the_tpm(tpm: None, key_type: KeyType) -> None:
    key = ProviderKeys(key_type, "tpm2").generate()
    request = x509.load_pem_x509_csr(signing_request(key, serial_number="SN-0001", organisation="Example CPO").encode())
    assert request.is_signature_valid
    assert b"TSS2 PRIVATE KEY" in key.pem.reveal()
    assert read_key(key.pem) == (fingerprint(key.public_key), key.pem)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
async def test_the_connection_in_profile_3_is_made_with_the_key_in_the_tpm(
    tpm: None, tmp_path: Path, key_type: str, version: ssl.TLSVersion
) -> None:
    given = {
        **tables(tmp_path, PKI.charge_point_certificate(SERIAL_NUMBER)),
        "security": {"key_type": key_type, "key_provider": "tpm2"},
    }
    async with CentralSystem(pki=PKI, profile=3, maximum_tls=version) as central_system:
        central_system.serial_numbers["CP001"] = SERIAL_NUMBER
        async with agent(tmp_path, central_system.url, given) as charge_point:
            await settled(central_system)
            await presented(central_system)
            signed = PKI.sign_csr(await ordered(central_system), serial_number=SERIAL_NUMBER)
            assert await hand_over(central_system, signed) == "Accepted"
            assert await presented(central_system) == der(signed)
            own = (await charge_point.call("certificates.list"))["charge_point"]
            assert {each["key_place"] for each in own} == {"file", "TPM"}
            assert not central_system.findings
        # The name of the key in the state directory is enough for another start.
        async with agent(tmp_path, central_system.url, given):
            assert await presented(central_system) == der(signed)
