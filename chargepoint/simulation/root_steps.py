"""The steps of the demo about root certificates: listed, installed, refused and deleted (M03, M04, M05)."""

from typing import Any, Final

from chargepoint.simulation.certificate_hash import find, hash_data
from chargepoint.simulation.stage import SERIAL_NUMBER, Stage
from chargepoint.simulation.step import Step, demand

CENTRAL_SYSTEM: Final = "CentralSystemRootCertificate"
MANUFACTURER: Final = "ManufacturerRootCertificate"


async def _install(stage: Stage) -> str:
    root = stage.pki.manufacturer_root_pem.decode()
    before = await _listed(stage, MANUFACTURER)
    await _answered(stage, "InstallCertificate", "Accepted", certificateType=MANUFACTURER, certificate=root)
    after = await _listed(stage, MANUFACTURER)
    demand(before == [], f"{len(before)} manufacturer roots were there before")
    demand(find(after, root) is not None, "the root is not listed under the hashes that the Central System computes")
    return "NotFound before, Accepted, and listed under the very hashes that the Central System computes"


async def _refuse_a_leaf(stage: Stage) -> str:
    leaf = stage.pki.charge_point_certificate(SERIAL_NUMBER).certificate_pem.decode()
    await _answered(stage, "InstallCertificate", "Rejected", certificateType=CENTRAL_SYSTEM, certificate=leaf)
    return "a certificate that is no certificate authority's: Rejected"


async def _delete(stage: Stage) -> str:
    in_use, unused = hash_data(stage.pki.root_pem), hash_data(stage.pki.manufacturer_root_pem)
    await _answered(stage, "DeleteCertificate", "Failed", certificateHashData=in_use)
    await _answered(stage, "DeleteCertificate", "Accepted", certificateHashData=unused)
    await _answered(stage, "DeleteCertificate", "NotFound", certificateHashData=unused)
    return "the root that the connection rests on: Failed; another: Accepted; the same again: NotFound"


async def _listed(stage: Stage, certificate_type: str) -> list[dict[str, str]]:
    conf = await stage.central_system.call("GetInstalledCertificateIds", {"certificateType": certificate_type})
    listed: list[dict[str, str]] = conf.get("certificateHashData", [])
    return listed


async def _answered(stage: Stage, action: str, wanted: str, **payload: Any) -> None:
    conf = await stage.central_system.call(action, payload)
    demand(conf["status"] == wanted, f"{action}.req was {conf['status']}, not {wanted}")


ROOT_STEPS: Final = (
    Step("Install a root and list it", ("M05.FR.02", "M03.FR.02", "M03.FR.03", "M03.FR.04"), _install),
    Step("Refuse what is no root", ("M05.FR.06",), _refuse_a_leaf),
    Step("Delete a root, but not the one in use", ("M04.FR.02", "M04.FR.04", "M04.FR.06"), _delete),
)
