"""M03: the Central System asks which root certificates are installed."""

from pathlib import Path

import pytest

from chargepoint.simulation.authority import Authority
from tests import openssl
from tests.certificate_site import CONNECTED_BY, MANUFACTURER, ROOT_TYPES, named, site
from tests.roots import successor_of

VECTORS = Path(__file__).parents[1] / "unit" / "security" / "vectors"
UTF8_EC_20_BYTES = (VECTORS / "utf8_ec_serial_of_20_bytes.pem").read_text()
PRINTABLE_RSA_ZERO_NIBBLE = (VECTORS / "printable_rsa_serial_with_zero_nibble.pem").read_text()
PRINTABLE_EC_BELOW_RSA = (VECTORS / "printable_ec_below_rsa.pem").read_text()


@pytest.mark.requirement("M03.FR.01", "M03.FR.02")
async def test_nothing_of_a_type_is_not_found(tmp_path: Path) -> None:
    async with site(tmp_path, profile=0) as here:
        for root_type in ROOT_TYPES:
            request = {"certificateType": root_type}
            answer = await here.central_system.call("GetInstalledCertificateIds", request)
            assert answer == {"status": "NotFound"}


@pytest.mark.requirement("M03.FR.01", "M03.FR.02", "M03.FR.03", "M03.FR.04")
async def test_each_type_has_its_own_list(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        assert await here.lists(named(CONNECTED_BY))
        assert await here.lists(root_type=MANUFACTURER)
        root = Authority.root("Manufacturer", "Example Manufacturer")
        assert await here.install(root, MANUFACTURER) == "Accepted"
        assert await here.lists(named(CONNECTED_BY))
        assert await here.lists(named(root), root_type=MANUFACTURER)


@pytest.mark.requirement("M03.FR.03", "M03.FR.04")
@pytest.mark.skipif(openssl.OPENSSL is None, reason="the openssl program is not installed")
async def test_every_kind_of_certificate_is_named_as_openssl_names_it(tmp_path: Path) -> None:
    """A serial number of 20 bytes, one with a leading zero nibble, UTF8String and PrintableString, RSA and EC."""
    new_root = successor_of(CONNECTED_BY)
    chains = [
        (UTF8_EC_20_BYTES, UTF8_EC_20_BYTES),
        (PRINTABLE_RSA_ZERO_NIBBLE, PRINTABLE_RSA_ZERO_NIBBLE),
        (PRINTABLE_EC_BELOW_RSA, PRINTABLE_RSA_ZERO_NIBBLE),
        (new_root.pem.decode(), CONNECTED_BY.pem.decode()),
    ]
    async with site(tmp_path) as here:
        for certificate, _ in chains:
            assert await here.install(certificate) == "Accepted"
        assert await here.lists(named(CONNECTED_BY), *(named(*chain) for chain in chains))
        theirs = [openssl.hash_data(tmp_path, *chain) for chain in [(CONNECTED_BY.pem.decode(),) * 2, *chains]]
        assert await here.lists(*theirs)
        serial_numbers = {entry["serialNumber"] for entry in await here.listed()}
    assert {"7F0102030405060708090A0B0C0D0E0F10111213", "A1B2C3D4E5F", "FF"} <= serial_numbers
    assert not any(number.startswith("0") for number in serial_numbers)


@pytest.mark.requirement("M03.FR.04")
async def test_a_hundred_roots_fit_into_one_answer(tmp_path: Path) -> None:
    async with site(tmp_path, configuration={"CertificateStoreMaxLength": 100}) as here:
        roots = [Authority.root(f"Root {number}", "Example CPO") for number in range(100)]
        for root in roots[1:]:
            assert await here.install(root) == "Accepted"
        assert await here.lists(named(CONNECTED_BY), *map(named, roots[1:]))
        assert await here.install(roots[0]) == "Rejected"
