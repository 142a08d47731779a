"""The steps of the demo about the Charge Point certificate: renewed by order, refused, and one that is not let in
(A02)."""

from typing import Final, cast

from cryptography import x509

from chargepoint.simulation.authority import CLIENT, Issued, PublicKey, subject_name
from chargepoint.simulation.pki import Pki
from chargepoint.simulation.recorder import Refusal, Upgrade
from chargepoint.simulation.stage import IDENTITY, ORGANISATION, SERIAL_NUMBER, Stage
from chargepoint.simulation.step import Step, StepFailed, demand


async def _renew(stage: Stage) -> str:
    await _without_operator(stage)
    before = await stage.central_system.connected(IDENTITY)
    signed = stage.pki.sign_csr(await _request(stage), serial_number=SERIAL_NUMBER)
    await _hand_over(stage, signed, "Accepted")
    await stage.central_system.connected(IDENTITY, after=before)
    shown = await _presented(stage, after=before.number)
    demand(shown == signed.x509.serial_number, "it did not come back with the new certificate")
    listed = (await stage.control("certificates.list"))["charge_point"]
    return f"a new key pair, a request, a certificate; back with it at once, {len(listed) - 1} old one kept for a month"


async def _refuse_a_strangers(stage: Stage) -> str:
    stranger = Pki.create(organisation=ORGANISATION).central_system_root
    await _hand_over(stage, stage.pki.sign_csr(await _request(stage), issuer=stranger), "Rejected")
    match = {"type": "InvalidChargePointCertificate"}
    event = await stage.central_system.expect("SecurityEventNotification", match=match)
    return f"Rejected, and told why: {event['techInfo']}"


async def _fall_back(stage: Stage) -> str:
    before = await stage.central_system.connected(IDENTITY)
    # Sound by all rules of the Charge Point, but of another operator, whom this Central System does not let in.
    request = x509.load_pem_x509_csr((await _request(stage)).encode())
    other = subject_name(SERIAL_NUMBER, "Another Operator")
    await _hand_over(
        stage,
        stage.pki.central_system_root.issue(other, usages=(CLIENT,), key=cast("PublicKey", request.public_key())),
        "Accepted",
    )
    refusal = await stage.central_system.recorder.take(Refusal, lambda entry: entry.stage == "http")
    await stage.central_system.connected(IDENTITY, after=before)
    # An answer comes only after what the connection has proved is kept.
    await stage.central_system.call("GetConfiguration", {"key": ["CpoName"]})
    events = [each["tech_info"] for each in await stage.control("security.events")]
    demand(any("the one before is used" in str(each) for each in events), "the fallback is not in the security log")
    return f"refused with HTTP {refusal.status}, back with the certificate before, and recorded"


async def _without_operator(stage: Stage) -> None:
    """A02, prerequisite: without CpoName there is nothing to put into the request."""
    conf = await _trigger(stage)
    demand(conf == "Rejected", f"without CpoName the trigger was {conf}")
    request = {"key": "CpoName", "value": ORGANISATION}
    conf = (await stage.central_system.call("ChangeConfiguration", request))["status"]
    demand(conf == "Accepted", f"CpoName was {conf}")


async def _request(stage: Stage) -> str:
    conf = await _trigger(stage)
    demand(conf == "Accepted", f"the trigger was {conf}")
    return str((await stage.central_system.expect("SignCertificate"))["csr"])


async def _trigger(stage: Stage) -> str:
    request = {"requestedMessage": "SignChargePointCertificate"}
    return str((await stage.central_system.call("ExtendedTriggerMessage", request))["status"])


async def _hand_over(stage: Stage, signed: Issued, wanted: str) -> None:
    request = {"certificateChain": signed.chain_pem.decode()}
    conf = (await stage.central_system.call("CertificateSigned", request))["status"]
    demand(conf == wanted, f"CertificateSigned.req was {conf}, not {wanted}")


async def _presented(stage: Stage, *, after: int) -> int:
    """Return the serial number of the client certificate of the connection behind this one."""
    upgrade = await stage.central_system.recorder.wait(Upgrade, lambda entry: entry.connection > after)
    if upgrade.tls is None or upgrade.tls.client_certificate is None:
        raise StepFailed("no client certificate was presented")
    return x509.load_der_x509_certificate(upgrade.tls.client_certificate).serial_number


RENEWAL_STEPS: Final = (
    Step("Renew the Charge Point certificate by order", ("A02.FR.02", "A02.FR.03", "A02.FR.08", "A02.FR.13"), _renew),
    Step("Refuse a certificate of a stranger's authority", ("A02.FR.06", "A02.FR.07"), _refuse_a_strangers),
    Step("Fall back to the certificate before", ("A02.FR.10",), _fall_back),
)
