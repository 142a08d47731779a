"""The simulated Central System takes a Charge Point over from its maker (A00.FR.406)."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from chargepoint.simulation.authority import Authority, Issued
from chargepoint.simulation.central_system import CentralSystem
from chargepoint.simulation.frame import Call, CallResult
from chargepoint.simulation.recorder import FrameEntry, Refusal, Upgrade
from tests.agent_process import PKI, agent
from tests.enrolling import SERIAL_NUMBER, der, presented, tables

MAKER = "Example Maker"
MAKERS_ROOT = Authority.root("Example Maker Root for Charge Points", MAKER)


def by_the_maker() -> Issued:
    return PKI.charge_point_certificate(SERIAL_NUMBER, MAKER, issuer=MAKERS_ROOT)


def course(central_system: CentralSystem) -> list[str]:
    """What was said so far: boots by their answer, each once, and the messages of the renewal."""
    said: list[str] = []
    for entry in central_system.recorder.entries:
        match entry:
            case FrameEntry(direction="sent", action="BootNotification", frame=CallResult(_, {"status": status})):
                said += [] if said[-1:] == [status] else [status]
            case FrameEntry(frame=Call(), action="ExtendedTriggerMessage" | "SignCertificate" | "CertificateSigned"):
                said.append(entry.action)
    return said


@pytest.mark.requirement("A00.FR.406")
async def test_a_makers_certificate_is_renewed_before_anything_else(tmp_path: Path) -> None:
    factory = by_the_maker()
    async with CentralSystem(pki=PKI, profile=3) as central_system:
        central_system.serial_numbers["CP001"] = SERIAL_NUMBER
        central_system.register.makers.add(MAKER)
        central_system.trust(PKI.central_system_root, MAKERS_ROOT)
        async with agent(tmp_path, central_system.url, tables(tmp_path, factory)):
            assert await presented(central_system) == der(factory)
            renewed = x509.load_der_x509_certificate(await presented(central_system))
            assert renewed.issuer == PKI.central_system_root.certificate.subject
            (organisation,) = renewed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
            assert organisation.value == PKI.organisation
            # Only then it is let in.
            await central_system.expect("StatusNotification")
            renewal = ["ExtendedTriggerMessage", "SignCertificate", "CertificateSigned"]
            told = [each for each in course(central_system) if each != "Pending"]
            assert course(central_system)[0] == "Pending"
            assert told == [*renewal, "Accepted"]
            assert not central_system.findings
            # It stays so: the maker's certificate is not asked to be renewed again.
            await central_system.drop()
            assert x509.load_der_x509_certificate(await presented(central_system)) == renewed
            assert await central_system.call("GetConfiguration", {"key": ["CpoName"]})
            assert len(central_system.recorder.frames("received", "SignCertificate")) == 1


async def test_the_certificate_of_a_maker_that_is_not_known_is_refused(tmp_path: Path) -> None:
    async with CentralSystem(pki=PKI, profile=3) as central_system:
        central_system.serial_numbers["CP001"] = SERIAL_NUMBER
        central_system.trust(PKI.central_system_root, MAKERS_ROOT)
        async with agent(tmp_path, central_system.url, tables(tmp_path, by_the_maker())):
            refusal = await central_system.recorder.take(Refusal)
            assert refusal.status == 403
            assert "O of the client certificate" in refusal.reason
            assert not [entry for entry in central_system.recorder.entries if isinstance(entry, Upgrade)]
