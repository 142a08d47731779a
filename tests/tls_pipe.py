"""A TLS handshake between two contexts in memory: real OpenSSL on both ends, no sockets, no threads, no waiting."""

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from security.secret import Secret
from tests.pki import Made

Pair = tuple[ssl.SSLObject, ssl.SSLObject]


@dataclass(frozen=True)
class KeyPair:
    """A Charge Point certificate in files."""

    certificate_file: Path
    key_file: Path
    key_passphrase: Secret | None = None


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, server_name: str = "localhost") -> Pair:
    """Run the handshake, and whatever alert ends it, through to the client.

    Raises:
        ssl.SSLError: what the client says of a handshake that failed, or of what comes after its own part is done.
    """
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server, server_hostname=server_name)
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    client_done = server_done = False
    while not (client_done and server_done):
        client_done = client_done or _step(client_end)
        try:
            server_done = server_done or _step(server_end)
        except ssl.SSLError:
            # Its alert is on the way; TLS 1.3 clients meet it at their first read.
            _step(client_end)
            client_end.read(1)
    return client_end, server_end


def server_context(
    certificate: Made,
    *intermediates: Made,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ciphers: str = "DEFAULT:@SECLEVEL=0",
) -> ssl.SSLContext:
    """A server that presents the certificate and takes any strength."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = minimum, maximum
    with tempfile.TemporaryDirectory() as directory:
        context.load_cert_chain(*write_pair(Path(directory), certificate, *intermediates))
    return context


def write_pair(directory: Path, certificate: Made, *intermediates: Made) -> tuple[Path, Path]:
    """Write the chain and the key as PEM files."""
    chain_file, key_file = directory / "chain.pem", directory / "chain.key"
    chain_file.write_text("".join(made.pem for made in (certificate, *intermediates)))
    key_file.write_bytes(certificate.key_pem.reveal())
    return chain_file, key_file


def _step(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
