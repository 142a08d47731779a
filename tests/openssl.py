"""The opinion of the `openssl` program, which shares no line with us."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

OPENSSL: Final = shutil.which("openssl")


def hash_data(directory: Path, pem: str, issuer_pem: str, algorithm: str = "SHA256") -> dict[str, str]:
    """CertificateHashDataType out of the OCSP request that openssl makes; upper case, without leading zeros."""
    assert OPENSSL is not None
    (directory / "certificate.pem").write_text(pem)
    (directory / "issuer.pem").write_text(issuer_pem)
    command = [OPENSSL, "ocsp", "-issuer", "issuer.pem", f"-{algorithm.lower()}", "-cert", "certificate.pem"]
    text = subprocess.run(
        [*command, "-req_text", "-no_nonce"], cwd=directory, capture_output=True, text=True, check=True, timeout=20
    ).stdout.replace("\\\n", "")
    values = {}
    for name, label in (
        ("issuerNameHash", "Issuer Name Hash"),
        ("issuerKeyHash", "Issuer Key Hash"),
        ("serialNumber", "Serial Number"),
    ):
        found = re.search(rf"{label}: *([0-9A-F]+)", text)
        assert found is not None
        values[name] = found[1]
    return {"hashAlgorithm": algorithm} | values | {"serialNumber": values["serialNumber"].lstrip("0")}


def subject(path: Path) -> str:
    """What `openssl x509` reads as the subject of a file."""
    assert OPENSSL is not None
    command = [OPENSSL, "x509", "-in", str(path), "-noout", "-subject", "-nameopt", "RFC2253"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
