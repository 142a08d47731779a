"""The TLS rules of the simulated Central System for pyftpdlib, which speaks TLS by pyOpenSSL."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from chargepoint.simulation.authority import Issued
from chargepoint.simulation.server_tls import SUITES


def openssl_context(certificate: Issued, *, judged: bool = False) -> SSL.Context:
    """Build the context of a listener: TLS 1.2 with the suites of A00.FR.317.

    Not TLS 1.3: there OpenSSL sends tickets behind the handshake, and pyOpenSSL cannot forbid it. A client that only
    sends and then closes has them unread, so that its close becomes a RST, which may overtake the end of its file.

    Args:
        certificate: what it shows.
        judged: refuse to show a certificate that is too weak; off for one that is bad on purpose.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(f"{':'.join(SUITES)}:@SECLEVEL={2 if judged else 0}".encode())
    context.set_options(SSL.OP_NO_COMPRESSION)
    leaf, *intermediates = x509.load_pem_x509_certificates(certificate.chain_pem)
    context.use_certificate(leaf)
    for each in intermediates:
        context.add_extra_chain_cert(each)
    context.use_privatekey(load_pem_private_key(certificate.key_pem, password=None))  # type: ignore[arg-type]
    return context
